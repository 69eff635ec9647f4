#include "harness/run/attempt/check.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/base/process_end/wait_for_end.h"
#include "harness/run/attempt/attempt.h"

namespace kill9::run {
namespace {

constexpr size_t kOutputMost = 4000;  // bytes, of what a check wrote last

void Export(const CheckRequest& request) {
  auto set = [](const char* name, const std::string& value) { setenv(name, value.c_str(), 1); };
  set("KILL9_STATE", request.state);
  set("KILL9_START", request.start);
  set("KILL9_STDOUT", request.folder + "/stdout");
  set("KILL9_STDERR", request.folder + "/stderr");
  set("KILL9_SURVIVORS", absl::StrJoin(request.survivors, " "));
  set("KILL9_POINT", request.point == nullptr ? "" : NameOf(*request.point));
  if (request.point == nullptr) return;
  set("KILL9_CALL", request.point->call);
  set("KILL9_PATH", request.point->path);
  set("KILL9_OCCURRENCE", absl::StrCat(request.point->occurrence));
  set("KILL9_PROGRAM", request.program);
}

[[noreturn]] void BecomeCheck(const CheckRequest& request, const std::string& output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  std::signal(SIGXFSZ, SIG_DFL);
  std::signal(SIGALRM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  const int written = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(written, STDOUT_FILENO);
  dup2(written, STDERR_FILENO);
  if (chdir(request.state.c_str()) != 0) _exit(kCannotTell);
  Export(request);
  execl("/bin/sh", "sh", "-c", request.line.c_str(), nullptr);
  _exit(127);
}

std::string EndOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  return all.size() <= kOutputMost ? all : all.substr(all.size() - kOutputMost);
}

}  // namespace

Json RunCheck(Follower& follower, const CheckRequest& request) {
  const std::string output = request.folder + "/check";
  const pid_t check = fork();
  if (check == 0) BecomeCheck(request, output);
  if (check < 0) {  // no fault of what is checked
    return {{"too_long", false},
            {"exit_status", kCannotTell},
            {"signal", nullptr},
            {"output", absl::StrCat("cannot start a process: ", std::strerror(errno))}};
  }
  const Follower::End end = follower.Follow(
      [](const FollowedStop&) { return Follower::Next::kGoOn; }, request.seconds, check);
  const int status = follower.status();
  const bool too_long = end != Follower::End::kOtherEnded;
  if (too_long) {
    kill(-check, SIGKILL);
    WaitForEnd(check);
  }
  kill(-check, SIGKILL);  // what it has left behind
  Json ended = {{"too_long", too_long}, {"exit_status", nullptr}, {"signal", nullptr}};
  if (!too_long && WIFEXITED(status)) ended["exit_status"] = WEXITSTATUS(status);
  if (!too_long && WIFSIGNALED(status)) ended["signal"] = WTERMSIG(status);
  ended["output"] = EndOf(output);
  return ended;
}

CheckAnswer AnswerOf(const Json& check) {
  const auto status = check.find("exit_status");
  if (status == check.end() || !status->is_number()) return CheckAnswer::kViolation;
  if (*status == 0) return CheckAnswer::kConsistent;
  return *status == kCannotTell ? CheckAnswer::kUnknown : CheckAnswer::kViolation;
}

std::string HowItEnded(const Json& check) {
  if (check.value("too_long", false)) return "no end within its time";
  if (check["signal"].is_number()) {
    const int signal = check["signal"].get<int>();
    return absl::StrCat("signal ", signal, " (", strsignal(signal), ")");
  }
  return absl::StrCat("exit status ", check["exit_status"].get<int>());
}

}  // namespace kill9::run
