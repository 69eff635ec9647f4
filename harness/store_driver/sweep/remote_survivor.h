// A survivor in a process of its own, which another process uses as if its store were here.
//
// The judge lets two survivors take turns. Most stores may be attached twice in one process; those
// that keep files may not (tdb refuses, LMDB's manual forbids it, since closing one would drop the
// other's file locks), so there the second survivor is a process of its own.
#ifndef KILL9_HARNESS_STORE_DRIVER_SWEEP_REMOTE_SURVIVOR_H_
#define KILL9_HARNESS_STORE_DRIVER_SWEEP_REMOTE_SURVIVOR_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/base/shared_mapping.h"
#include "variants/registry.h"
#include "variants/stores/copying_store.h"

namespace kill9::sweep {

// What is asked and answered, in memory that both share.
struct Mailbox {
  enum class Kind : uint8_t { kAttach, kDetach, kPut, kGet, kErase, kForEach, kRecover, kAudit };
  static constexpr size_t kMostKeyBytes = 1 << 10;
  static constexpr size_t kMostBytes = 1 << 20;  // of a value, or of all that for_each visits
  static constexpr size_t kMostMessageBytes = 300;

  std::atomic<uint32_t> asked;     // how often
  std::atomic<uint32_t> answered;  // the same, once the answer is there
  Kind kind;
  bool yes;
  absl::StatusCode code;
  Version version;
  RecoveryReport recovery;
  uint64_t max_key_bytes, max_value_bytes;
  size_t key_bytes, bytes;
  char message[kMostMessageBytes];
  char key[kMostKeyBytes];
  char data[kMostBytes];
};

// REQUIRES: used by the process that made it, which has not attached yet when it makes it, so that
// the other process inherits no handle.
class RemoteSurvivor {
 public:
  // Forks it; it ends with this process. Aborts if there is no memory for the mail.
  RemoteSurvivor(const Variant& variant, std::shared_ptr<Segment> segment);
  RemoteSurvivor(const RemoteSurvivor&) = delete;
  RemoteSurvivor& operator=(const RemoteSurvivor&) = delete;
  pid_t pid() const { return pid_; }

  // Called with what happened to it if it ends in the middle of an operation; does not return.
  using Died = std::function<void(const std::string& how)>;
  // One at a time: the store that it returned before is gone.
  absl::StatusOr<std::unique_ptr<Store>> Attach(Died died);

 private:
  friend class RemoteStore;
  [[noreturn]] void Serve();
  absl::Status Do();
  absl::Status DoForEach();
  // Asks, and waits for the answer.
  absl::Status Ask(Mailbox::Kind kind, std::string_view key = {}, std::string_view value = {});

  const Variant& variant_;
  std::shared_ptr<Segment> segment_;
  const SharedMapping<Mailbox> mail_;
  pid_t pid_ = 0;
  Died died_;
  std::unique_ptr<Store> store_;  // in its own process only
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_STORE_DRIVER_SWEEP_REMOTE_SURVIVOR_H_
