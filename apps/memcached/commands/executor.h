// Does what requests ask for, and writes the answers.
#ifndef KILL9_APPS_MEMCACHED_COMMANDS_EXECUTOR_H_
#define KILL9_APPS_MEMCACHED_COMMANDS_EXECUTOR_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "apps/memcached/commands/counters.h"
#include "apps/memcached/commands/leases.h"
#include "apps/memcached/commands/output.h"
#include "apps/memcached/items/items.h"
#include "apps/memcached/options/options.h"
#include "apps/memcached/protocol/request.h"
#include "apps/memcached/protocol/words.h"

namespace kill9::memcached {

class Executor {
 public:
  enum class Next : uint8_t {
    kGoOn,
    kPaused,  // the output is full: send it, and run the same request again
    kClose,
    kShutDown,
  };

  Executor(const Options& options, Items& items, SharedState& shared, WorkerSlot& slot,
           Output& output)
      : options_(options), items_(items), shared_(shared), slot_(slot), output_(output) {}

  // *keys_done: 0 before the request's first run; how far it came when it paused. `leases`: of the
  // connection that asks.
  Next Run(const Request& request, size_t* keys_done, Leases* leases);
  // A value was refused for its size: nothing older may be found under its key.
  void DropTooLarge(const Request& request);

 private:
  // executor.cc: the classic commands.
  Next Get(const Request& request, size_t* keys_done);
  bool GetSome(const Request& request, Words& words);
  bool GetAndTouchOne(const Request& request, std::string_view key);
  void AppendItem(std::string_view key, const Item& item, bool shows_cas);
  bool GetAndTouch(const Request& request, std::string_view key, Item* item);
  bool Find(std::string_view key, Item* item, PinnedValue* pin);
  // `data` are of the pin, if there is one.
  void AppendData(PinnedValue pin, std::string_view data);
  bool CountGet(const Item* item);
  void Store(const Request& request);
  Stored StoreItem(const Request& request, uint64_t* cas);
  void Touch(const Request& request);
  void Delete(const Request& request);
  void Arithmetic(const Request& request);
  void FlushAll(const Request& request);
  void DebugTime(const Request& request);
  void Answer(const Request& request, std::string_view line) {
    if (!request.noreply) output_.AppendLine(line);
  }
  void AnswerFailure(const Request& request, Stored stored);

  // storing.cc: what changes an item.
  Items::Change DecideStore(const Request& request, const Item* present);
  Items::Change Joined(const Request& request, const Item& present, bool appends);
  Stored ChangeNumber(const Request& request, bool adds, uint64_t* result, Item* after,
                      uint64_t* cas);

  // meta.cc
  void MetaGet(const Request& request);
  void MetaSet(const Request& request);
  void MetaDelete(const Request& request);
  void MetaArithmetic(const Request& request);
  void MetaDebug(const Request& request);
  struct Fetched;
  bool Fetch(const Request& request, Fetched* fetched);
  void AppendEcho(const Request& request, const MetaFlag& flag);
  void AnswerMeta(const Request& request, std::string_view code, uint64_t cas);
  void AppendKey(const Request& request) {
    output_.Append(" k");
    output_.Append(request.key_as_sent);
  }
  void AppendTtl(int64_t expires_ms);

  // stats.cc
  void Stats(const Request& request);
  void GeneralStats();
  void DumpKeys(uint64_t most);
  void SettingsStats();
  void WorkerStats();
  void Stat(std::string_view name, std::string_view value);
  void Stat(std::string_view name, uint64_t value);
  Next ShutDown(const Request& request);

  void Count(Counter counter) { slot_.Add(counter); }

  const Options& options_;
  Items& items_;
  SharedState& shared_;
  WorkerSlot& slot_;
  Output& output_;
  Leases* leases_ = nullptr;    // of whoever asks now
  std::string joined_;          // reused
  bool expects_large_ = false;  // the last value that was read was one
  Items::Census census_;
  int64_t census_at_ms_ = 0;
  int64_t census_took_ms_ = 0;
};

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_COMMANDS_EXECUTOR_H_
