#include "harness/inspect/inspect.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/signals.h"
#include "harness/base/text/write_all.h"
#include "harness/inspect/contents.h"
#include "harness/inspect/pool.h"
#include "harness/inspect/segment_copy.h"
#include "variants/buffers/buffer_pool_design.h"
#include "variants/segment/file/segment_file.h"

namespace kill9::inspect {
namespace {

// A busy segment is read so often before a copy is taken that is of several moments, and so many
// of those are looked at until one makes sense.
constexpr int kReadings = 20;
constexpr int kLooks = 5;

bool IsSame(const std::vector<Attached>& a, const std::vector<Attached>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Attached& x, const Attached& y) {
                      return x.slot == y.slot && x.generation == y.generation && x.lives == y.lives;
                    });
}

// What comes until the end, or until it takes too long (nothing then).
std::optional<std::string> ReadToEnd(int fd, double timeout_seconds) {
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::milliseconds(static_cast<int64_t>(timeout_seconds * 1e3));
  std::string text;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    struct pollfd one {
      .fd = fd, .events = POLLIN, .revents = 0
    };
    const int64_t wait_ms = std::clamp<int64_t>(left.count(), 0, 1'000'000);
    if (const int ready = poll(&one, 1, static_cast<int>(wait_ms)); ready <= 0) {
      if (ready < 0 && errno == EINTR) continue;
      return std::nullopt;
    }
    char piece[65536];
    const ssize_t got = read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(piece, static_cast<size_t>(got));
  }
}

// The contents as a child tells them: a copy of several moments, or a damaged one, may crash who
// reads it, or keep it for ever. An object with "error": it did.
Json LookInChild(const Design& design, const std::shared_ptr<Segment>& copy,
                 const std::vector<Attached>& attached, double timeout_seconds) {
  const auto failed = [](const std::string& why) { return Json{{"error", why}}; };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed("no pipe can be made");
  const WaitableChildren waitable;
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    DieWithParent(parent);
    const struct rlimit no_core {};
    setrlimit(RLIMIT_CORE, &no_core);
    const absl::StatusOr<Json> told = DescribeContents(design, copy, attached);
    WriteAll(ends[1], Dump(told.ok() ? *told : failed(std::string(told.status().message()))));
    _exit(0);
  }
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return failed("no process can be made");
  }
  const std::optional<std::string> text = ReadToEnd(ends[0], timeout_seconds);
  close(ends[0]);
  int status = 0;
  if (!text.has_value()) {
    KillAndReap(child, &status);
    return failed(absl::StrCat("reading it had no end within ", timeout_seconds,
                               " s (--timeout), as of a lock that is never given back"));
  }
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    return failed(absl::StrCat("who read it was ended by signal ", WTERMSIG(status)));
  }
  Json told = ParseJson(*text);
  return told.is_object() ? told : failed("who read it told nothing");
}

struct Look {
  SegmentUsers users;
  std::vector<Attached> attached;
  Json contents;
  bool of_one_moment = false;
};

absl::StatusOr<Look> LookAt(const SegmentFile& file, double timeout_seconds) {
  Look look;
  look.users = file.Users();
  absl::StatusOr<std::vector<Attached>> before = file.WhoIsAttached(look.users);
  if (!before.ok()) return before.status();
  const absl::StatusOr<SegmentFile::Copy> copy = file.MakeCopy(kReadings);
  if (!copy.ok()) return copy.status();
  // Which takes the descriptor over, and checks the copy as any segment.
  const absl::StatusOr<std::shared_ptr<Segment>> segment = file.design().FromFd(copy->fd);
  if (!segment.ok()) return segment.status();
  const absl::StatusOr<std::vector<Attached>> after = file.WhoIsAttached(look.users);
  if (!after.ok()) return after.status();
  look.of_one_moment = copy->of_one_moment && IsSame(*before, *after);
  look.attached = *std::move(before);
  look.contents = LookInChild(file.design(), *segment, look.attached, timeout_seconds);
  return look;
}

bool MakesSense(const Look& look) {
  const Json& told = look.contents;
  return !told.contains("error") && (!told.contains("violations") ||
                                     (told["violations"].empty() && told["leaked_blocks"] == 0 &&
                                      told["doubly_owned_blocks"] == 0));
}

Json RowOf(const Attached& one, const Json& contents) {
  Json row = {{"slot", one.slot},
              {"generation", one.generation},
              {"state", !one.lives            ? "dead"
                        : one.process.stopped ? "stopped"
                                              : "alive"},
              {"recovers", one.recovers}};
  row["pid"] = one.process.pid == 0 ? Json() : Json(one.process.pid);
  row["started_at"] = one.process.pid == 0 ? Json() : Json(one.process.started_at);
  row["name"] = one.process.pid == 0 ? Json() : Json(one.process.name);
  row["holds"] = Json();
  if (const auto holds = contents.find("holds"); holds != contents.end()) {
    for (const Json& hold : *holds) {
      if (hold["slot"] != one.slot) continue;
      row["holds"] = hold;
      row["holds"].erase("slot");
    }
  }
  if (const auto pool = contents.find(kPoolKind); pool != contents.end()) {
    row["buffers_held"] = 0;
    for (const Json& holding : (*pool)["holds_of_participants"]) {
      if (holding["slot"] == one.slot) row["buffers_held"] = holding["holds"];
    }
  }
  const auto heap = contents.find("heap");
  if (heap == contents.end()) return row;
  const Json& holdings = (*heap)["holdings"];
  for (const Json& holding : holdings) {
    if (holding["slot"] == one.slot && holding["generation"] == one.generation) {
      row["owns"] = holding;
      row["owns"].erase("slot");
      row["owns"].erase("generation");
    }
  }
  return row;
}

// What is wrong, in sentences. Of a copy of several moments nothing can be said.
Json DamageIn(const Look& look) {
  Json damage = Json::array();
  if (!look.of_one_moment) return damage;
  const Json& told = look.contents;
  if (told.contains("error")) damage.push_back(told["error"]);
  if (!told.contains("violations")) return damage;
  for (const Json& violation : told["violations"]) damage.push_back(violation);
  for (const char* field : {"leaked_blocks", "doubly_owned_blocks"}) {
    if (told[field] != 0) damage.push_back(absl::StrCat(field, ": ", told[field].get<uint64_t>()));
  }
  return damage;
}

}  // namespace

absl::StatusOr<Json> Inspect(const std::string& place, double timeout_seconds) {
  const absl::StatusOr<SegmentFile> file = SegmentFile::Open(place);
  if (!file.ok()) return file.status();
  absl::StatusOr<Look> look = LookAt(*file, timeout_seconds);
  for (int n = 1; n < kLooks && look.ok() && !look->of_one_moment && !MakesSense(*look); ++n) {
    look = LookAt(*file, timeout_seconds);
  }
  if (!look.ok()) return look.status();
  Json run = {{"segment", place},
              {"variant", file->design().name()},
              {"object", file->design().kind()},
              {"size_bytes", file->header().size_bytes},
              {"max_participants", file->header().max_participants},
              {"of_one_moment", look->of_one_moment}};
  Json participants = Json::array();
  for (const Attached& one : look->attached) participants.push_back(RowOf(one, look->contents));
  run["participants"] = std::move(participants);
  run["mapped_by_pids"] = look->users.mapped_by;
  run["some_processes_unreadable"] = look->users.some_unreadable;
  for (const auto& [name, value] : look->contents.items()) {
    // Which stand with the participants, and in `damage`.
    if (name == "holds" || name == "violations" || name == "leaked_blocks" ||
        name == "doubly_owned_blocks") {
      continue;
    }
    run[name == "error" ? "unread_because" : name] = value;
  }
  run["damage"] = DamageIn(*look);
  return run;
}

bool IsDamaged(const Json& run) { return !run["damage"].empty(); }

}  // namespace kill9::inspect
