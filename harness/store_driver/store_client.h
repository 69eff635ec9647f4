// A store in use (harness/torture/worker/client.h).
//
// What a client finds by itself, without the history's checker: values that are torn, another
// key's, or were never written; versions that run backwards or repeat; a key without its
// acknowledged value; a pinned value that changes; a status that the contract does not allow; while
// nobody else works, a refusal without need, and a put that is not there.
#ifndef KILL9_HARNESS_STORE_DRIVER_STORE_CLIENT_H_
#define KILL9_HARNESS_STORE_DRIVER_STORE_CLIENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "harness/store_driver/store_driver.h"
#include "harness/store_driver/value.h"
#include "harness/torture/worker/client.h"
#include "harness/torture/worker/last_to_wait.h"
#include "variants/room.h"

namespace kill9 {

class StoreClient final : public Client {
 public:
  StoreClient(const RunContext& context, const StoreRun& run, uint32_t slot, uint32_t process);

  bool Act(Random& random) override;
  void Attached() override;
  void ReleaseAll() override;
  void Visit() override;
  bool Fill() override;
  void RemoveFilling() override;
  void Empty() override;

 private:
  struct HeldPin {
    PinnedValue pin;
    uint64_t key;
    ValueId id;
  };
  struct HeldDraft {
    kill9::Draft draft;
    uint64_t key;
    ValueId id;
  };
  struct Seen {  // of a key's board, before an operation begins
    Version floor;
    bool must_exist;
  };

  // The version read; kAbsent for a miss.
  Version Get(uint64_t key);
  bool Put(uint64_t key, uint32_t size);  // false: refused, the segment is full
  void Insert(Random& random);            // the next key in turn
  uint32_t SizeFor(uint64_t key, Random& random) const;
  bool Erase(uint64_t key);  // whether it was there
  void CompareAndSwap(uint64_t key, Version expected, uint32_t size);
  // Where the segment keeps terms (store_client_terms.cc).
  void PutUntil(uint64_t key, uint32_t size, Random& random);
  void Replace(uint64_t key, uint32_t size);
  void GetMany(Random& random);
  void Lease(uint64_t key, uint32_t size, Random& random);
  // Where nobody dies (store_client_nobody_dies.cc): has the lease that all others wait for, and
  // gives it up, or the value.
  void LeaseInTurn(Random& random);
  bool EndLeaseInTurn(uint64_t key, const LeaseToken& lease, Random& random);
  absl::StatusOr<LeaseAnswer> AskForLease(std::string_view key, const LeaseOptions& options);
  // What a GetOrLease without end, and without old values, came to; kOld: refused.
  LeaseAnswer::Kind EndLease(uint64_t key, const Seen& seen, Expiry before,
                             const absl::StatusOr<LeaseAnswer>& answer);
  // False: it was refused, and the lease is dropped.
  bool PutLeased(uint64_t key, uint32_t size, const LeaseToken& lease);
  void ClearAll() {
    ClearAll([this] { return store().Clear(); });
  }
  void ClearAll(absl::FunctionRef<absl::Status()> clear);
  void NoteCounted();
  // That what was read was not past its deadline when the operation began, and has its own mark.
  void CheckTerms(const char* operation, uint64_t key, const Terms& terms, Expiry before,
                  std::string_view value);
  bool keeps_terms() const { return run_.terms().kept; }
  uint64_t NewValue(uint64_t key, uint32_t size);  // in value_; as what it is recorded
  // While nobody else works (store_client_quiet.cc). False: there was no room for a trial.
  void TryAll();
  bool TryChanges();
  bool TryTerms();
  static constexpr uint32_t kCallsThatLook = 11;
  bool TryOver();
  // That a call (one of kCallsThatLook) finds nothing where there was an entry of this version.
  bool RequireEnded(const char* when, uint32_t call, Version version);
  bool TryPast(const LeaseToken& lease);
  bool TryLeases();
  bool TryLeasesOfTheDead();
  bool TryLeaseOfWhoLeaves();
  bool TryExpired();
  uint64_t CountOfWorkers();  // their entries that are there
  void TryClears();
  void TryForgottenLease();
  bool TryLease(LeaseAnswer::Kind kind, bool has_value, const LeaseOptions& options,
                LeaseToken* lease);
  bool Expect(const char* what, const absl::Status& status, bool right);
  void RequireIs(const char* when, std::string_view value, const Terms& terms = {});
  void RequireAbsent(const char* when);
  StoreCounters Tally();
  std::string_view QuietKey(uint64_t number) const;  // that no worker has
  [[noreturn]] void FailInQuiet(const std::string& what);
  void Pin(uint64_t key);
  void Draft(uint64_t key, uint32_t size, Random& random);
  void ForEach();
  // Gives up the oldest hold (a draft is committed if `commit`); nothing if there is none.
  void ReleaseOne(bool commit);
  size_t holds() const { return pins_.size() + drafts_.size(); }
  Store& store() { return static_cast<Store&>(object()); }

  // The id at the head of a value, before its bytes are checked.
  static ValueId PeekId(std::string_view value);
  Seen Look(uint64_t key) const;
  ValueId NextId();
  void CheckRead(const char* operation, uint64_t key, const Seen& seen, Version version,
                 std::string_view value);
  void CheckMiss(const char* operation, uint64_t key, const Seen& seen);
  void CheckWritten(const char* operation, uint64_t key, const Seen& seen, Version version);
  void CheckVersion(const char* operation, uint64_t key, const Seen& seen, Version version);
  void CheckKept();
  void CheckRefusal(uint64_t key, size_t value_bytes);
  void CheckBytes(const char* operation, uint64_t key, std::string_view value);
  [[noreturn]] void FailStatus(const char* operation, uint64_t key, const absl::Status& status);
  [[noreturn]] void FailLostWrite(const std::string& message);
  std::string Name(uint64_t key) const;
  void CommitDraft(HeldDraft held);
  void ReleasePin(HeldPin held);

  const StoreRun& run_;
  const StoreBoards& boards_;
  LastToWait last_to_wait_;
  const bool lossless_;
  const bool has_versions_;
  const bool design_is_own_;  // neither a baseline nor another library
  std::vector<HeldPin> pins_;
  std::vector<HeldDraft> drafts_;
  std::string buffer_;  // what Get reads into
  std::string value_;   // what is written
  uint32_t sequence_ = 0;
  uint64_t filled_ = 0;  // keys put by Fill
  uint64_t visits_ = 0;
  MovesHot* moves_hot_ = nullptr;
  uint64_t moved_ = 0;  // as far as it was told
};

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_STORE_CLIENT_H_
