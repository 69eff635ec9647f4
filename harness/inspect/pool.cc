#include "harness/inspect/pool.h"

#include <vector>

#include "variants/buffers/buffer_pool.h"

namespace kill9::inspect {
namespace {

Json AsJson(const std::vector<kill9::HoldsOf>& all, const char* holder) {
  Json rows = Json::array();
  for (const kill9::HoldsOf& one : all)
    rows.push_back({{holder, one.holder}, {"holds", one.holds}});
  return rows;
}

}  // namespace

absl::StatusOr<Json> PoolOf(SharedObject& pool) {
  const absl::StatusOr<BufferPoolAccount> account = static_cast<BufferPool&>(pool).Account();
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

}  // namespace kill9::inspect
