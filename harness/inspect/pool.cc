#include "harness/inspect/pool.h"

#include <utility>
#include <vector>

#include "variants/buffers/account_of_copy.h"
#include "variants/buffers/buffer_pool.h"

namespace kill9::inspect {
namespace {

Json AsJson(const std::vector<kill9::HoldsOf>& all, const char* holder) {
  Json rows = Json::array();
  for (const kill9::HoldsOf& one : all)
    rows.push_back({{holder, one.holder}, {"holds", one.holds}});
  return rows;
}

absl::StatusOr<Json> AsJson(const absl::StatusOr<BufferPoolAccount>& account) {
  if (!account.ok()) return account.status();
  return Json{{"buffers", account->report.entries},
              {"holds", account->holds},
              {"room_bytes", account->room_bytes},
              {"free_bytes", account->free_bytes},
              {"live_bytes", account->live_bytes},
              {"header_bytes", account->header_bytes},
              {"rounding_bytes", account->rounding_bytes},
              {"holds_of_participants", AsJson(account->of_participants, "slot")},
              {"holds_of_messages", AsJson(account->of_messages, "box")}};
}

}  // namespace

absl::StatusOr<Json> PoolOf(SharedObject& pool) {
  return AsJson(static_cast<BufferPool&>(pool).Account());
}

absl::StatusOr<Json> PoolOfCopy(std::shared_ptr<Segment> copy) {
  return AsJson(buffers::AccountOfCopy(std::move(copy)));
}

}  // namespace kill9::inspect
