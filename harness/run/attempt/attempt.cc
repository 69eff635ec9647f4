#include "harness/run/attempt/attempt.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/run/attempt/check.h"
#include "harness/run/attempt/copy_into.h"
#include "harness/run/follow/follower.h"
#include "harness/run/follow/mapped_files.h"
#include "harness/run/follow/recorder.h"
#include "harness/run/follow/state_hash.h"
#include "harness/run/follow/system_calls.h"
#include "harness/stepper/process/process_wait.h"

namespace kill9::run {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostInstructions = 1'000'000;  // from a marker on
constexpr size_t kMostOutside = 5;
constexpr uint64_t kKeptBytesMost = 16u << 20;  // of what is left, for people

class Attempt {
 public:
  Attempt(const RunOptions& options, const AttemptSurroundings& surroundings,
          const AttemptRequest& request, const std::string& folder, int socket)
      : options_(options),
        surroundings_(surroundings),
        request_(request),
        folder_(folder),
        socket_(socket) {}

  absl::Status Run();
  void Send(const Json& message);

 private:
  Follower::Next OnTraced(const FollowedStop& stop);
  Follower::Next OnTracedInstruction(const FollowedStop& stop);
  Follower::Next OnWayToPoint(const FollowedStop& stop);
  bool IsThePoint(const FollowedStop& stop);
  void AddPoint(const Point& point, const FollowedStop& stop, uint64_t left);
  absl::Status RunProgram(Follower::OnStop on_stop);
  absl::Status Kill();
  absl::Status Damage();
  bool MayCheck(Json message);
  void Check(const Point* point);
  void KeepWhatIsLeft() const;
  Follower::Told Told() const;
  bool Ended() const { return end_ == Follower::End::kEnded; }

  const RunOptions& options_;
  const AttemptSurroundings& surroundings_;
  const AttemptRequest& request_;
  const std::string folder_;
  const int socket_;
  std::vector<std::string> roots_;
  std::optional<Recorder> recorder_;
  std::optional<StateHasher> hasher_;
  Follower follower_;
  Follower::End end_ = Follower::End::kEnded;
  // Of a trace.
  Json points_ = Json::array();
  std::vector<std::string> outside_;
  // Of instructions: who stands between the markers, and since how many.
  Point marker_;
  long marker_number_ = -1;
  uint32_t marker_nth_ = 0;
  pid_t between_ = 0;
  MappedFiles mapped_;
  // Of a kill.
  std::string killed_program_;
};

void Attempt::Send(const Json& message) {
  const std::string text = Dump(message) + "\n";
  for (size_t at = 0; at < text.size();) {
    const ssize_t sent = send(socket_, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) _exit(1);
    at += static_cast<size_t>(sent);
  }
}

// Tells what the program has left. Whether the check shall run is the other side's to say.
bool Attempt::MayCheck(Json message) {
  message["left"] = hasher_->Hash();
  Send(message);
  char answer = 0;
  while (read(socket_, &answer, 1) < 0 && errno == EINTR) {
  }
  return answer == 'c';
}

Follower::Told Attempt::Told() const {
  if (request_.kind == AttemptKind::kTrace) return {.all = true, .numbers = {}};
  if (request_.kind != AttemptKind::kKill) return {};
  if (request_.number >= 0) return {.all = false, .numbers = {request_.number}};
  const std::optional<long> number = CallNumber(request_.point.call);
  if (!number.has_value()) return {.all = true, .numbers = {}};  // a marker may be any call
  return {.all = false, .numbers = {*number}};
}

// A point, with what is left there. An instruction that finds what the one before it found is
// counted with that one.
void Attempt::AddPoint(const Point& point, const FollowedStop& stop, uint64_t left) {
  const bool is_marker = point.call == "begin";
  if (is_marker && point.instruction > 1 && points_.back()["left"] == left) {
    points_.back()["points"] = points_.back()["points"].get<uint64_t>() + 1;
    return;
  }
  points_.push_back({{"process", point.process},
                     {"call", point.call},
                     {"path", point.path},
                     {"occurrence", point.occurrence},
                     {"instruction", point.instruction},
                     {"number", is_marker ? marker_number_ : stop.number},
                     {"nth", is_marker ? marker_nth_ : stop.process.calls[stop.number]},
                     {"points", 1},
                     {"left", left}});
}

Follower::Next Attempt::OnTraced(const FollowedStop& stop) {
  if (stop.number < 0) {
    return between_ == stop.thread ? OnTracedInstruction(stop) : Follower::Next::kGoOn;
  }
  const NamedCall named = recorder_->Name(stop);
  if (named.writes) hasher_->Touch(named.path);
  // No path says which file it is.
  if (named.climbs || stop.number == SYS_open_by_handle_at) hasher_->TouchAny();
  if (named.writes && !recorder_->IsInside(named.path) && outside_.size() < kMostOutside) {
    outside_.push_back(named.path);
  }
  if (!options_.instructions) {
    AddPoint(named.point, stop, hasher_->Hash());
    return Follower::Next::kGoOn;
  }
  if (between_ == stop.thread) {
    if (named.path == kEndMarker) {
      between_ = 0;
      return Follower::Next::kGoOn;
    }
    mapped_.Expire();  // the call may change anything
    return Follower::Next::kStep;
  }
  if (named.path != kBeginMarker || between_ != 0) return Follower::Next::kGoOn;
  between_ = stop.thread;
  marker_ = named.point;
  marker_number_ = stop.number;
  marker_nth_ = stop.process.calls[stop.number];
  mapped_.Expire();
  return Follower::Next::kStep;
}

Follower::Next Attempt::OnTracedInstruction(const FollowedStop& stop) {
  ++marker_.instruction;
  AddPoint(marker_, stop, mapped_.Left(stop.thread, *hasher_, roots_));
  return marker_.instruction < kMostInstructions ? Follower::Next::kStep : Follower::Next::kEnd;
}

bool Attempt::IsThePoint(const FollowedStop& stop) {
  const Point& wanted = request_.point;
  if (stop.process.name != wanted.process) return false;
  if (request_.number >= 0) {
    return stop.number == request_.number && stop.process.calls[stop.number] == request_.nth;
  }
  if (stop.number < 0) return false;
  NamedCall named = recorder_->Name(stop);
  return named.point.call == wanted.call && PathFits(wanted.path, named.point.path) &&
         ++marker_nth_ == wanted.occurrence;
}

Follower::Next Attempt::OnWayToPoint(const FollowedStop& stop) {
  if (between_ == 0) {
    if (!IsThePoint(stop)) return Follower::Next::kGoOn;
    between_ = stop.thread;
    killed_program_ = stop.process.program;
    return request_.point.instruction > 0 ? Follower::Next::kStep : Follower::Next::kEnd;
  }
  if (stop.thread != between_) return Follower::Next::kGoOn;
  if (stop.number >= 0) return Follower::Next::kStep;
  ++marker_.instruction;
  return marker_.instruction < request_.point.instruction ? Follower::Next::kStep
                                                          : Follower::Next::kEnd;
}

absl::Status Attempt::RunProgram(Follower::OnStop on_stop) {
  const int output =
      open((folder_ + "/stdout").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int error =
      open((folder_ + "/stderr").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  absl::Status started = follower_.Start(options_.words, Told(), output, error);
  close(output);
  close(error);
  if (!started.ok()) return started;
  end_ = follower_.Follow(on_stop, options_.program_seconds);
  return absl::OkStatus();
}

// Where the check fails, this is what it has seen.
void Attempt::KeepWhatIsLeft() const {
  const char* const names[] = {"state", "dev_shm", "tmp"};
  std::error_code error;
  for (size_t n = 0; n < roots_.size(); ++n) {
    // Of /tmp, what is shown there belongs to others.
    if (n > 0 && (fs::is_empty(roots_[n], error) || error || roots_[n] == "/tmp")) continue;
    if (BytesBelow(roots_[n]) > kKeptBytesMost) continue;
    const std::string kept = absl::StrCat(folder_, "/", names[n]);
    if (fs::create_directory(kept, error)) (void)CopyInto(roots_[n], kept);
  }
}

void Attempt::Check(const Point* point) {
  if (point != nullptr) KeepWhatIsLeft();  // only a kill is a finding
  const Json check = RunCheck(follower_, {.line = options_.check,
                                          .state = roots_.front(),
                                          .start = surroundings_.start,
                                          .folder = folder_,
                                          .point = point,
                                          .program = killed_program_,
                                          .survivors = follower_.Processes(),
                                          .seconds = options_.check_seconds});
  follower_.KillAll();
  Send({{"done", true}, {"check", check}});
}

absl::Status Attempt::Kill() {
  absl::Status ran = RunProgram([this](const FollowedStop& stop) { return OnWayToPoint(stop); });
  if (!ran.ok()) return ran;
  const bool met = end_ == Follower::End::kAsked;
  if (!met || !options_.first_only) follower_.KillAll();
  if (met && options_.first_only) follower_.KillFirst();
  if (!met) {
    Send({{"done", true}, {"met", false}});
    return absl::OkStatus();
  }
  const size_t survivors = follower_.Processes().size();
  if (MayCheck({{"met", true}, {"survivors", survivors}, {"program", killed_program_}})) {
    Check(&request_.point);
  } else {
    follower_.KillAll();
    Send({{"done", true}});
  }
  return absl::OkStatus();
}

absl::Status Attempt::Damage() {
  const std::string path = absl::StrCat(roots_.front(), "/", request_.damaged);
  std::error_code error;
  const uint64_t size = request_.emptied ? 0 : fs::file_size(path, error) / 2;
  if (!error) fs::resize_file(path, size, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot damage ", path));
  Check(nullptr);
  return absl::OkStatus();
}

absl::Status Attempt::Run() {
  absl::StatusOr<std::vector<std::string>> roots = Isolate(surroundings_);
  if (!roots.ok()) return roots.status();
  Send({{"ready", true}});
  if (request_.kind == AttemptKind::kProbe) return absl::OkStatus();
  roots_ = *std::move(roots);
  std::vector<std::string> shown = surroundings_.seen;
  shown.insert(shown.end(), {surroundings_.start, surroundings_.kept});
  recorder_.emplace(roots_, shown, folder_);
  std::vector<std::string> all = roots_;
  all.insert(all.end(), {folder_ + "/stdout", folder_ + "/stderr"});
  hasher_.emplace(all);
  stepper::StartTicker();
  if (request_.kind == AttemptKind::kKill) return Kill();
  const bool traces = request_.kind == AttemptKind::kTrace;
  const bool controls = request_.kind == AttemptKind::kControl;
  std::map<std::string, uint64_t> before;
  if (controls) before = hasher_->Files();
  if (traces) hasher_->Remember();
  absl::Status ran = RunProgram(
      [&](const FollowedStop& stop) { return traces ? OnTraced(stop) : Follower::Next::kGoOn; });
  if (!ran.ok()) return ran;
  if (!Ended()) {
    follower_.KillAll();
    Send({{"done", true}, {"ended", false}, {"instructions", marker_.instruction}});
    return absl::OkStatus();
  }
  if (request_.kind == AttemptKind::kDamage) return Damage();
  Json message = {
      {"ended", true}, {"status", follower_.status()}, {"points", points_}, {"outside", outside_}};
  if (controls) {
    Json changed = Json::array();
    for (const auto& [path, hash] : hasher_->Files()) {
      const auto was = before.find(path);
      if (was == before.end() || was->second != hash) changed.push_back(path);
    }
    message["changed"] = std::move(changed);
  }
  if (MayCheck(message)) {
    Check(nullptr);
  } else {
    Send({{"done", true}});
  }
  return absl::OkStatus();
}

}  // namespace

void RunAttempt(const RunOptions& options, const AttemptSurroundings& surroundings,
                const AttemptRequest& request, const std::string& folder, int socket) {
  // What is left of the program and the check goes with this process: in a PID namespace by the
  // kernel, else because they are traced, or children of this one.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Attempt attempt(options, surroundings, request, folder, socket);
  const absl::Status status = attempt.Run();
  if (!status.ok()) {
    attempt.Send({{"error", std::string(status.message())}, {"code", status.raw_code()}});
  }
  if (surroundings.namespaces) kill(-1, SIGKILL);
  _exit(0);
}

}  // namespace kill9::run
