// Maps for the threads of one process, which survive nothing.
#include "stress/benchmarks/limits/subject.h"

#ifdef KILL9_HAVE_TBB
#include <tbb/concurrent_hash_map.h>
#endif
#ifdef KILL9_HAVE_URCU
#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu/rculfhash.h>
#include <urcu/urcu-memb.h>
#endif

#include <bit>
#include <cstdlib>
#include <cstring>

#include "variants/segment/hash.h"

namespace kill9::limits {
namespace {

#ifdef KILL9_HAVE_TBB
struct TbbHash {
  static size_t hash(const std::string& key) { return XXH3_64bits(key.data(), key.size()); }
  static bool equal(const std::string& a, const std::string& b) { return a == b; }
};
using TbbMap = tbb::concurrent_hash_map<std::string, std::string, TbbHash>;

class TbbAccess final : public Access {
 public:
  explicit TbbAccess(TbbMap& map) : map_(map) {}
  bool Get(std::string_view key, std::string* value) override {
    TbbMap::const_accessor found;
    key_.assign(key);
    if (!map_.find(found, key_)) return false;
    value->assign(found->second);
    return true;
  }
  bool Put(std::string_view key, std::string_view value) override {
    TbbMap::accessor found;
    key_.assign(key);
    map_.insert(found, key_);
    found->second.assign(value);
    return true;
  }

 private:
  TbbMap& map_;
  std::string key_;
};

class Tbb final : public Subject {
 public:
  explicit Tbb(const Load& load) : map_(load.entries * 2) {}
  std::unique_ptr<Access> Open() override { return std::make_unique<TbbAccess>(map_); }
  bool threads_only() const override { return true; }

 private:
  TbbMap map_;
};
#endif

#ifdef KILL9_HAVE_URCU
struct UrcuNode {
  cds_lfht_node node;
  rcu_head head;
  size_t value_size;
  char key[16];
  char* value() { return reinterpret_cast<char*>(this + 1); }
};

int SameKey(cds_lfht_node* node, const void* key) {
  return std::memcmp(caa_container_of(node, UrcuNode, node)->key, key, 16) == 0;
}

class UrcuAccess final : public Access {
 public:
  explicit UrcuAccess(cds_lfht* map) : map_(map) { urcu_memb_register_thread(); }
  ~UrcuAccess() override { urcu_memb_unregister_thread(); }
  bool Get(std::string_view key, std::string* value) override {
    urcu_memb_read_lock();
    cds_lfht_iter iterator{};
    cds_lfht_lookup(map_, XXH3_64bits(key.data(), key.size()), SameKey, key.data(), &iterator);
    cds_lfht_node* found = cds_lfht_iter_get_node(&iterator);
    if (found != nullptr) {
      UrcuNode* node = caa_container_of(found, UrcuNode, node);
      value->assign(node->value(), node->value_size);
    }
    urcu_memb_read_unlock();
    return found != nullptr;
  }
  bool Put(std::string_view key, std::string_view value) override {
    auto* fresh = static_cast<UrcuNode*>(std::malloc(sizeof(UrcuNode) + value.size()));
    cds_lfht_node_init(&fresh->node);
    std::memcpy(fresh->key, key.data(), 16);
    fresh->value_size = value.size();
    std::memcpy(fresh->value(), value.data(), value.size());
    urcu_memb_read_lock();
    cds_lfht_node* old = cds_lfht_add_replace(map_, XXH3_64bits(key.data(), key.size()), SameKey,
                                              key.data(), &fresh->node);
    urcu_memb_read_unlock();
    if (old != nullptr) {
      urcu_memb_call_rcu(&caa_container_of(old, UrcuNode, node)->head,
                         [](rcu_head* head) { std::free(caa_container_of(head, UrcuNode, head)); });
    }
    return true;
  }

 private:
  cds_lfht* map_;
};

class Urcu final : public Subject {
 public:
  explicit Urcu(const Load& load)
      : map_(cds_lfht_new_flavor(std::bit_ceil(load.entries * 2), 1, 0, 0, &urcu_memb_flavor,
                                 nullptr)) {}
  std::unique_ptr<Access> Open() override { return std::make_unique<UrcuAccess>(map_); }
  bool threads_only() const override { return true; }

 private:
  cds_lfht* map_;
};
#endif

}  // namespace

std::vector<SubjectKind> ThreadMaps() {
  std::vector<SubjectKind> maps;
#ifdef KILL9_HAVE_TBB
  maps.push_back({"tbb", SubjectKind::Role::kThreadMap,
                  [](const Load& load) { return std::make_unique<Tbb>(load); }});
#endif
#ifdef KILL9_HAVE_URCU
  maps.push_back({"liburcu", SubjectKind::Role::kThreadMap,
                  [](const Load& load) { return std::make_unique<Urcu>(load); }});
#endif
  return maps;
}

}  // namespace kill9::limits
