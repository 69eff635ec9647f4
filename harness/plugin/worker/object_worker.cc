#include "harness/plugin/worker/object_worker.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "harness/base/namespaces/namespaces.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/text/count_of.h"
#include "harness/base/text/shell_word.h"
#include "harness/base/text/write_all.h"
#include "harness/plugin/object_design.h"
#include "harness/plugin/object_names.h"
#include "harness/plugin/plugin.h"
#include "harness/programs/protocol/workload.h"
#include "harness/result/command_name.h"
#include "harness/result/result.h"
#include "variants/segment/file/segment_file.h"

namespace kill9 {
namespace {

constexpr int kSocket = 3;

// It has no room for the texts of a workload.
bool TakesNumbersOnly(const kill9_object& object) {
  return object.max_value_bytes < programs::kLongestValueBytes;
}

// One participant: a line is a request, and its answer is another.
class ObjectParticipant {
 public:
  ObjectParticipant(const kill9_object& object, bool keeps_names, int connection)
      : object_(object),
        keeps_names_(keeps_names),
        functions_(programs::Workload::FunctionsOfModel(object.model)),
        stream_(fdopen(connection, "r")),
        connection_(connection) {}

  [[noreturn]] void Run() {
    char* line = nullptr;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, stream_)) > 0) {
      const Json request = Json::parse(std::string_view(line, static_cast<size_t>(size)));
      Json answer = request["f"] == "init" ? Begin(request) : AnswerTo(request);
      answer["id"] = request["id"];
      if (!WriteAll(connection_, Dump(answer) + "\n")) _exit(1);
    }
    if (handle_ != nullptr) object_.detach(handle_);
    _exit(0);
  }

 private:
  // What nobody can go on from ends the process, which tells why.
  [[noreturn]] void Give(const std::string& up) const {
    std::fprintf(stderr, "%s: %s\n", object_.name, up.c_str());
    _exit(1);
  }

  Json Begin(const Json& request) {
    const std::string directory = request["state"].get<std::string>() + "/object";
    const bool fills = absl::c_any_of(
        functions_, [](Function function) { return RowOf(function).effect == Effect::kWrites; });
    kill9_room room{.struct_size = sizeof room,
                    .directory = directory.c_str(),
                    .bytes = 0,
                    .entries = fills ? kEntriesOfObject : request["keys"].get<uint64_t>(),
                    .participants = kMostParticipants};
    room.bytes = room.entries * programs::kLongestValueBytes;
    std::optional<ObjectNames> names;
    if (keeps_names_) names.emplace();
    if (request["first"] == true) {
      const absl::Status made = segment_file::MakeDirectory(directory);
      if (!made.ok()) Give(std::string(made.message()));
      const int outcome = object_.create(&room);
      if (names.has_value()) names->BelongTo(directory);
      if (outcome != KILL9_OK) {
        Give(absl::StrCat("create answered with the outcome ", outcome));
      }
    }
    handle_ = object_.attach(&room);
    if (names.has_value()) names->BelongTo(directory);
    if (handle_ == nullptr) Give("it cannot attach");
    return {{"type", "ok"}, {"audit", object_.audit != nullptr}};
  }

  Json AnswerTo(const Json& request) {
    const std::string name = request["f"].get<std::string>();
    if (name == "audit") return Audit();
    const auto function =
        absl::c_find_if(functions_, [&name](Function one) { return RowOf(one).name == name; });
    if (function == functions_.end()) Give("it is asked for \"" + name + "\"");
    const FunctionRow& row = RowOf(*function);
    const std::string key = request["key"].get<std::string>();
    ObjectCall call{.function = *function, .key = key};
    std::string value;
    if (row.argument == Field::kRequiredValue) {
      const Json& given = request["value"];
      value = given.is_string() ? given.get<std::string>() : Dump(given);
      call.value = value;
    } else if (row.argument == Field::kNumber) {
      call.number = request[std::string(row.number)].get<uint64_t>();
    }
    const ObjectAnswer answer = CallObject(object_, handle_, call);
    const absl::StatusOr<ObjectEnd> end = EndOf(object_, *function, answer);
    if (!end.ok()) Give(std::string(end.status().message()));
    if (end->outcome == Outcome::kRefused) return {{"type", "fail"}};
    if (row.result == Field::kAcquired) return Acquired(end->result);
    Json answered = {{"type", "ok"}};
    if (row.result == Field::kValue) answered["value"] = ValueOf(answer);
    if (row.result == Field::kNumber) answered["value"] = end->result;
    if (row.result == Field::kWasThere || row.result == Field::kWasNew) {
      answered["value"] = end->result == 1;
    }
    return answered;
  }

  static Json Acquired(uint64_t result) {
    if (result == kHeldByOther) return {{"type", "fail"}};
    if (result == kAcquiredOfDead) return {{"type", "ok"}, {"value", "owner-died"}};
    return {{"type", "ok"}};
  }

  Json ValueOf(const ObjectAnswer& answer) const {
    if (!answer.value.has_value()) return nullptr;
    uint64_t number = 0;
    if (TakesNumbersOnly(object_) && absl::SimpleAtoi(*answer.value, &number)) return number;
    return Shown(*answer.value);
  }
  // What is no text in JSON is one that nobody wrote.
  static Json Shown(const std::string& bytes) {
    const bool is_text = absl::c_all_of(bytes, [](char c) { return c >= ' ' && c <= '~'; });
    return is_text ? bytes : absl::StrCat("bytes that are no text, ", bytes.size(), " of them");
  }

  Json Audit() {
    const absl::StatusOr<AuditReport> report = AuditObject(object_, handle_);
    std::string reason;
    if (!report.ok()) {
      reason = std::string(report.status().message());
    } else if (!report->violations.empty()) {
      reason = report->violations.front();
    } else if (report->leaked.blocks != 0 || report->doubly_owned != 0) {
      reason = absl::StrCat(CountOf(report->leaked.blocks, "block"), " leaked, ",
                            report->doubly_owned, " owned twice");
    }
    if (reason.empty()) return {{"type", "ok"}};
    return {{"type", "fail"}, {"reason", reason}};
  }

  static constexpr uint32_t kMostParticipants = 256;
  const kill9_object& object_;
  const bool keeps_names_;  // those in /dev/shm go with the run's folder
  const std::vector<Function> functions_;
  FILE* stream_;
  int connection_;
  void* handle_ = nullptr;
};

}  // namespace

std::optional<ObjectWorker> WorkerOf(const Design& design) {
  const auto* made = dynamic_cast<const PluginObjectDesign*>(&design);
  if (made == nullptr) return std::nullopt;
  // In a chroot the link may name what is a file outside of it only; a child finds it by the link.
  constexpr char kSelf[] = "/proc/self/exe";
  std::error_code ignored;
  std::string program = std::filesystem::read_symlink(kSelf, ignored).string();
  if (access(program.c_str(), X_OK) != 0) program = kSelf;
  // With what stands before the command: --plugin=PATH, if there is one.
  const size_t blank = CommandName().find(' ');
  return ObjectWorker{
      made->object().name,
      absl::StrCat(ShellWord(program),
                   blank == std::string::npos ? "" : CommandName().substr(blank), " worker"),
      {.model = std::string(design.model()), .numbers = TakesNumbersOnly(made->object())}};
}

absl::Status ServeObject(const Design& design) {
  const kill9_object& object = static_cast<const PluginObjectDesign&>(design).object();
  std::signal(SIGCHLD, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  const bool keeps_names = !HasOwnSharedMemory();
  const pid_t server = getpid();
  while (true) {
    const int connection = accept4(kSocket, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0 && errno == EINTR) continue;
    if (connection < 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("kill9 torture starts it, with a listening socket as descriptor ", kSocket,
                       "; here it is none: ", std::strerror(errno)));
    }
    const pid_t child = fork();
    if (child == 0) {
      DieWithParent(server);
      close(kSocket);
      ObjectParticipant(object, keeps_names, connection).Run();
    }
    close(connection);
  }
}

}  // namespace kill9
