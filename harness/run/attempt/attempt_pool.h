// Several attempts at once, each in a process of its own.
#ifndef KILL9_HARNESS_RUN_ATTEMPT_ATTEMPT_POOL_H_
#define KILL9_HARNESS_RUN_ATTEMPT_ATTEMPT_POOL_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/run/attempt/attempt.h"

namespace kill9::run {

class AttemptPool {
 public:
  // `surroundings.kept`: a directory of the pool's, for a folder of each attempt.
  AttemptPool(const RunOptions& options, const AttemptSurroundings& surroundings);
  ~AttemptPool();  // ends all of them
  AttemptPool(const AttemptPool&) = delete;
  AttemptPool& operator=(const AttemptPool&) = delete;

  // `tag`: what the caller calls it.
  absl::Status Start(const AttemptRequest& request, size_t tag);
  struct Message {
    size_t tag;
    Json json;
    std::string folder;  // of the attempt; removed with the next message, unless it is taken
  };
  // The next one of any attempt; the last has "done", or is an error. kCancelled: `go_on` said no.
  absl::StatusOr<Message> Next(const std::function<bool()>& go_on);
  // To a message with "left": whether the check shall run.
  void Answer(size_t tag, bool check);
  void TakeFolder(const std::string& folder) { std::erase(finished_folders_, folder); }
  size_t running() const { return running_.size(); }

  // All messages of one attempt in one. REQUIRES: no other runs.
  absl::StatusOr<Message> RunOne(const AttemptRequest& request, bool check,
                                 const std::function<bool()>& go_on);

 private:
  struct Running {
    size_t tag;
    pid_t pid;
    int socket;
    std::string folder;
    std::string text;  // received, up to a whole line
  };
  std::optional<absl::StatusOr<Message>> Receive(size_t n);
  void Finish(size_t n);
  void RemoveFinished();
  void ReapEnding(bool wait);

  const RunOptions& options_;
  const AttemptSurroundings surroundings_;
  ParentPipe parent_pipe_;
  const std::vector<pid_t> others_;  // children that are none of an attempt's
  std::vector<Running> running_;
  std::vector<pid_t> ending_;
  std::vector<std::string> finished_folders_;
  size_t started_ = 0;
};

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_ATTEMPT_ATTEMPT_POOL_H_
