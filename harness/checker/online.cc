#include "harness/checker/online.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "harness/checker/search/prepare.h"

namespace kill9 {
namespace {

constexpr size_t kRecoveriesKept = 1u << 16;

size_t ShardOf(uint64_t key, size_t shards) {
  return static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >> 32) % shards;
}

// The strongest condition, of those weaker than strict, that the history is shown to meet.
std::optional<Condition> HoldsUnder(const StreamChecker& stream, const Recoveries& recoveries) {
  for (const Condition condition : {Condition::kRecoverable, Condition::kPending}) {
    if (stream.HoldsUnder(condition, recoveries)) return condition;
  }
  return std::nullopt;
}

bool ByInvoke(const Operation& a, const Operation& b) { return a.invoke < b.invoke; }

}  // namespace

// Some of the keys, and the thread that checks them.
class OnlineChecker::Shard {
 public:
  struct Key {
    std::unique_ptr<StreamChecker> stream;
    SearchResult answer = SearchResult::kLinearizable;
    uint64_t failed_at = 0;  // the time of the operation at which it was seen
    bool forgotten = false;  // a part of what followed
  };

  Shard(const OnlineOptions& options, std::atomic<uint64_t>& keys_violating)
      : options_(options),
        keys_violating_(keys_violating),
        limits_(options.limits, options.work_at_once),
        thread_([this] { Work(); }) {}

  ~Shard() { Stop(); }

  void Feed(std::vector<Operation>* operations, uint64_t settled) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return waiting_ < options_.backlog_limit; });
    waiting_ += operations->size();
    backlog_most_ = std::max(backlog_most_, waiting_);
    batches_.push_back({std::move(*operations), settled});
    operations->clear();
    if (!spare_.empty()) {
      *operations = std::move(spare_.back());
      spare_.pop_back();
    }
    work_.notify_one();
  }

  // Everything is settled; the thread ends.
  void Stop() {
    if (!thread_.joinable()) return;
    {
      std::unique_lock lock(mutex_);
      ended_ = true;
      work_.notify_one();
    }
    thread_.join();
  }

  // relaxed: a count for progress lines; the final one is read after join.
  uint64_t checked() const { return checked_.load(std::memory_order_relaxed); }
  // relaxed: a hint.
  bool saw_overlap() const { return saw_overlap_.load(std::memory_order_relaxed); }
  // After Stop.
  const absl::flat_hash_map<uint64_t, Key>& keys() const { return keys_; }
  uint64_t backlog_most() const { return backlog_most_; }
  bool out_of_work() const { return out_of_work_; }
  uint64_t overlapping() const {
    uint64_t sum = 0;
    for (const auto& [id, key] : keys_) sum += key.stream->overlapping();
    return sum;
  }

 private:
  struct Batch {
    std::vector<Operation> operations;
    uint64_t settled;
  };

  void Work() {
    for (;;) {
      Batch batch;
      {
        std::unique_lock lock(mutex_);
        work_.wait(lock, [&] { return ended_ || !batches_.empty(); });
        if (batches_.empty()) break;
        batch = std::move(batches_.front());
        batches_.pop_front();
      }
      Take(batch.operations, batch.settled);
      std::unique_lock lock(mutex_);
      waiting_ -= batch.operations.size();
      room_.notify_one();
      batch.operations.clear();
      if (spare_.size() < 4) spare_.push_back(std::move(batch.operations));
    }
    Take({}, kNever);
    for (auto& [id, key] : keys_) {
      if (key.answer != SearchResult::kLinearizable) continue;
      AllowMoreWork();
      Note(&key, key.stream->Finish(), kNever);
    }
  }

  void Take(const std::vector<Operation>& operations, uint64_t settled) {
    unsettled_.insert(unsettled_.end(), operations.begin(), operations.end());
    auto rest =
        std::partition(unsettled_.begin(), unsettled_.end(),
                       [&](const Operation& operation) { return operation.invoke < settled; });
    std::sort(unsettled_.begin(), rest, ByInvoke);
    uint64_t checked = 0;
    for (auto operation = unsettled_.begin(); operation != rest; ++operation) {
      checked += Check(&*operation);
    }
    unsettled_.erase(unsettled_.begin(), rest);
    checked_.fetch_add(checked, std::memory_order_relaxed);  // a count
    // relaxed, as in saw_overlap(). Once it is known, nobody adds up again.
    if (!saw_overlap() && overlapping() != 0) saw_overlap_.store(true, std::memory_order_relaxed);
  }

  bool Check(Operation* operation) {
    Key& key = keys_[operation->key];
    if (key.stream == nullptr) {
      key.stream = options_.model->NewStream(options_.has_versions, limits_.limits);
    }
    AllowMoreWork();
    if (operation->outcome == Outcome::kUnknown) operation->finish = kNever;
    if (key.answer != SearchResult::kLinearizable) {
      if (key.answer == SearchResult::kViolated) Keep(&key, *operation);
      return false;
    }
    Note(&key, key.stream->Add(*operation), operation->invoke);
    return true;
  }

  void AllowMoreWork() {
    // relaxed: this thread's own.
    const uint64_t left = limits_.work_left.load(std::memory_order_relaxed);
    limits_.work_left.store(std::min(left + options_.work_of_an_operation, options_.work_at_once),
                            std::memory_order_relaxed);
  }

  void Keep(Key* key, const Operation& operation) {
    if (++kept_ > options_.kept_limit) {
      key->forgotten = true;
    } else {
      key->stream->Keep(operation);
    }
  }

  void Note(Key* key, SearchResult answer, uint64_t time) {
    if (answer == SearchResult::kLinearizable) return;
    key->answer = answer;
    key->failed_at = time;
    // relaxed: this thread's own.
    out_of_work_ |= answer == SearchResult::kUndecided &&
                    limits_.work_left.load(std::memory_order_relaxed) == 0;
    // relaxed: a hint to stop early.
    if (answer == SearchResult::kViolated) keys_violating_.fetch_add(1, std::memory_order_relaxed);
  }

  const OnlineOptions& options_;
  std::atomic<uint64_t>& keys_violating_;
  std::mutex mutex_;  // guards what follows, to the blank line
  std::condition_variable work_;
  std::condition_variable room_;
  std::deque<Batch> batches_;
  std::vector<std::vector<Operation>> spare_;
  size_t waiting_ = 0;
  size_t backlog_most_ = 0;
  bool ended_ = false;

  // The thread's own.
  std::vector<Operation> unsettled_;
  absl::flat_hash_map<uint64_t, Key> keys_;
  size_t kept_ = 0;
  BoundedLimits limits_;
  bool out_of_work_ = false;
  std::atomic<uint64_t> checked_{0};
  std::atomic<bool> saw_overlap_{false};
  std::thread thread_;
};

OnlineChecker::OnlineChecker(const OnlineOptions& options) : options_(options) {
  size_t threads = static_cast<size_t>(std::max(1, options.threads));
  for (size_t i = 0; i < threads; ++i) {
    shards_.push_back(std::make_unique<Shard>(options_, keys_violating_));
  }
  parts_.resize(threads);
}

OnlineChecker::~OnlineChecker() = default;

void OnlineChecker::Feed(std::span<const Operation> operations, uint64_t settled) {
  operations_ += operations.size();
  for (const Operation& operation : operations) {
    if (!IsKeyed(operation.function)) {
      not_keyed_.fetch_add(1, std::memory_order_relaxed);  // a count
      RememberRecovery(operation);
    } else if (!options_.model->Accepts(operation.function)) {
      ++not_of_the_model_;
    } else if (TellsNothing(operation)) {
      not_keyed_.fetch_add(1, std::memory_order_relaxed);  // a count
    } else {
      parts_[ShardOf(operation.key, shards_.size())].push_back(operation);
    }
  }
  for (size_t i = 0; i < shards_.size(); ++i) shards_[i]->Feed(&parts_[i], settled);
}

uint64_t OnlineChecker::operations_checked() const {
  uint64_t sum = not_keyed_.load(std::memory_order_relaxed);  // a count
  for (const auto& shard : shards_) sum += shard->checked();
  return sum;
}

bool OnlineChecker::saw_overlap() const {
  return std::any_of(shards_.begin(), shards_.end(),
                     [](const auto& shard) { return shard->saw_overlap(); });
}

// The older half is forgotten when there are too many; a death before what is known counts as
// without recovery.
void OnlineChecker::RememberRecovery(const Operation& operation) {
  if (operation.function != Function::kRecover || operation.outcome != Outcome::kOk) return;
  recoveries_.push_back(operation);
  if (recoveries_.size() < 2 * kRecoveriesKept) return;
  std::sort(recoveries_.begin(), recoveries_.end(), ByInvoke);
  recoveries_.erase(recoveries_.begin(), recoveries_.begin() + kRecoveriesKept);
  recoveries_known_from_ = recoveries_.front().invoke;
}

OnlineOutcome OnlineChecker::Finish() {
  for (auto& shard : shards_) shard->Stop();
  OnlineOutcome outcome;
  outcome.operations = operations_;
  outcome.operations_checked = operations_checked();
  for (auto& shard : shards_) {
    outcome.keys += shard->keys().size();
    outcome.overlapping_operations += shard->overlapping();
    outcome.backlog_most = std::max(outcome.backlog_most, shard->backlog_most());
    outcome.out_of_work |= shard->out_of_work();
    for (const auto& [id, key] : shard->keys()) {
      outcome.keys_violating += key.answer == SearchResult::kViolated;
      outcome.keys_undecided += key.answer == SearchResult::kUndecided;
    }
  }
  if (outcome.keys_violating != 0) {
    outcome.verdict = Verdict::kViolation;
    Explain(&outcome);
  } else if (outcome.keys_undecided != 0 || not_of_the_model_ != 0) {
    outcome.verdict = Verdict::kUndecided;
  } else {
    outcome.verdict = operations_ == 0 ? Verdict::kVacuous : Verdict::kPass;
    if (operations_ != 0) outcome.strongest = Condition::kStrict;
  }
  return outcome;
}

void OnlineChecker::Explain(OnlineOutcome* outcome) {
  Recoveries recoveries(recoveries_, recoveries_known_from_);
  const Shard::Key* first = nullptr;
  // Operations that the model does not have were not looked at.
  bool shown = outcome->keys_undecided == 0 && not_of_the_model_ == 0;
  Condition weakest = Condition::kStrict;
  for (auto& shard : shards_) {
    for (const auto& [id, key] : shard->keys()) {
      if (key.answer != SearchResult::kViolated) continue;
      if (first == nullptr || key.failed_at < first->failed_at) first = &key;
      const std::optional<Condition> condition =
          key.forgotten ? std::nullopt : HoldsUnder(*key.stream, recoveries);
      shown = shown && condition.has_value();
      if (shown) weakest = std::max(weakest, *condition);
    }
  }
  if (shown) outcome->strongest = weakest;
  outcome->counterexample = first->stream->Explain();
  Naming naming;
  if (options_.clock != nullptr) {
    naming.nanoseconds = [clock = *options_.clock](uint64_t ticks) {
      return clock.ToNanoseconds(ticks);
    };
  }
  outcome->counterexample_text = RenderText(*outcome->counterexample, naming);
  if (options_.counterexample_stem.empty()) return;
  absl::StatusOr<std::vector<std::string>> files = WriteCounterexample(
      *outcome->counterexample, naming, options_.counterexample_stem, {outcome->strongest, ""});
  if (files.ok()) {
    outcome->counterexample_files = *std::move(files);
  } else {
    absl::StrAppend(&outcome->counterexample_text, files.status().message(), "\n");
  }
}

}  // namespace kill9
