#include "variants/registry.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kill9 {

// The designs of stores are in stores/store_designs.cc. Of channels, one line each: the design's
// folder defines `const ChannelDesign& <Name>()`.
#define KILL9_CHANNELS(CHANNEL) \
  CHANNEL(MutexVector)          \
  CHANNEL(SlotRing)             \
  CHANNEL(SenderLanes)          \
  CHANNEL(BroadcastRing)

// Of heaps: `const HeapDesign& <Name>()`.
#define KILL9_HEAPS(HEAP) \
  HEAP(CoalescingHeap)    \
  HEAP(SizeClassHeap)

// Of buffers that are passed on through a channel (variants/buffers/).
const Design& BufferPoolDesign();

// KILL9_OURS_ONLY: neither baselines nor peers.
#ifdef KILL9_OURS_ONLY
#define KILL9_BASELINES(VARIANT)
#define KILL9_CHANNEL_BASELINES(CHANNEL)
#define KILL9_HEAP_BASELINES(HEAP)
#else
// The designs that people really ship, kept to show what the testbed says of them
// (variants/baselines/).
#define KILL9_BASELINES(VARIANT)     \
  VARIANT(UnsynchronisedHash)        \
  VARIANT(OneUnnamedSemaphore)       \
  VARIANT(OwnerPidMutexWithWatchDog) \
  VARIANT(RobustMutexUnrepaired)     \
  VARIANT(SharedReferenceCount)
#define KILL9_CHANNEL_BASELINES(CHANNEL) CHANNEL(VectorUnderASemaphore)
#define KILL9_HEAP_BASELINES(HEAP) HEAP(SharedCountHeap)
#endif

// Other libraries behind the same interface, those whose packages were found at build.
#ifdef KILL9_HAVE_LMDB
#define KILL9_PEER_LMDB(VARIANT) VARIANT(Lmdb)
#else
#define KILL9_PEER_LMDB(VARIANT)
#endif
#ifdef KILL9_HAVE_TDB
#define KILL9_PEER_TDB(VARIANT) VARIANT(Tdb)
#else
#define KILL9_PEER_TDB(VARIANT)
#endif
#ifdef KILL9_HAVE_BOOST_INTERPROCESS
#define KILL9_PEER_BOOST(VARIANT) VARIANT(BoostInterprocess)
#define KILL9_CHANNEL_PEERS(CHANNEL) CHANNEL(BoostMessageQueue)
#else
#define KILL9_PEER_BOOST(VARIANT)
#define KILL9_CHANNEL_PEERS(CHANNEL)
#endif
#ifdef KILL9_HAVE_BERKELEY_DB
#define KILL9_PEER_BERKELEY(VARIANT) VARIANT(BerkeleyDb)
#else
#define KILL9_PEER_BERKELEY(VARIANT)
#endif
#ifdef KILL9_HAVE_SQLITE
#define KILL9_PEER_SQLITE(VARIANT) VARIANT(SqliteWal) VARIANT(SqliteWalCheckpoint)
#else
#define KILL9_PEER_SQLITE(VARIANT)
#endif
#ifdef KILL9_HAVE_GDBM
#define KILL9_PEER_GDBM(VARIANT) VARIANT(Gdbm)
#else
#define KILL9_PEER_GDBM(VARIANT)
#endif
#ifdef KILL9_HAVE_TOKYO_CABINET
#define KILL9_PEER_TOKYO(VARIANT) VARIANT(TokyoCabinet) VARIANT(TokyoCabinetPlain)
#else
#define KILL9_PEER_TOKYO(VARIANT)
#endif
#ifdef KILL9_HAVE_TKRZW
#define KILL9_PEER_TKRZW(VARIANT) VARIANT(Tkrzw) VARIANT(TkrzwInTurn) VARIANT(TkrzwInPlace)
#else
#define KILL9_PEER_TKRZW(VARIANT)
#endif
#ifdef KILL9_HAVE_PMEMOBJ
#define KILL9_PEER_PMEMOBJ(VARIANT) VARIANT(Pmemobj)
#else
#define KILL9_PEER_PMEMOBJ(VARIANT)
#endif
#define KILL9_PEERS(VARIANT)   \
  KILL9_PEER_LMDB(VARIANT)     \
  KILL9_PEER_TDB(VARIANT)      \
  KILL9_PEER_BOOST(VARIANT)    \
  KILL9_PEER_BERKELEY(VARIANT) \
  KILL9_PEER_SQLITE(VARIANT)   \
  KILL9_PEER_GDBM(VARIANT)     \
  KILL9_PEER_TOKYO(VARIANT)    \
  KILL9_PEER_TKRZW(VARIANT)    \
  KILL9_PEER_PMEMOBJ(VARIANT)

#define KILL9_DECLARE(Name) const Variant& Name();
KILL9_BASELINES(KILL9_DECLARE)
KILL9_PEERS(KILL9_DECLARE)
#undef KILL9_DECLARE
#define KILL9_DECLARE_CHANNEL(Name) const ChannelDesign& Name();
KILL9_CHANNELS(KILL9_DECLARE_CHANNEL)
KILL9_CHANNEL_BASELINES(KILL9_DECLARE_CHANNEL)
KILL9_CHANNEL_PEERS(KILL9_DECLARE_CHANNEL)
#undef KILL9_DECLARE_CHANNEL
#define KILL9_DECLARE_HEAP(Name) const HeapDesign& Name();
KILL9_HEAPS(KILL9_DECLARE_HEAP)
KILL9_HEAP_BASELINES(KILL9_DECLARE_HEAP)
#undef KILL9_DECLARE_HEAP

namespace {

struct Lists {
  std::vector<const Design*> designs;
  std::vector<const Variant*> variants;
  std::vector<const ChannelDesign*> channels;
  std::vector<const HeapDesign*> heaps;

  void Add(const Design& design) {
    designs.push_back(&design);
    if (design.kind() == Variant::kKind) variants.push_back(static_cast<const Variant*>(&design));
    if (design.kind() == ChannelDesign::kKind) {
      channels.push_back(static_cast<const ChannelDesign*>(&design));
    }
    if (design.kind() == HeapDesign::kKind)
      heaps.push_back(static_cast<const HeapDesign*>(&design));
  }
};

Lists& AllLists() {
  static Lists* lists = [] {
    Lists* made = new Lists;
#define KILL9_LIST(Name) made->Add(Name());
    for (const Variant* design : StoreDesigns()) made->Add(*design);
    KILL9_CHANNELS(KILL9_LIST)
    KILL9_HEAPS(KILL9_LIST)
    made->Add(BufferPoolDesign());
    KILL9_BASELINES(KILL9_LIST)
    KILL9_CHANNEL_BASELINES(KILL9_LIST)
    KILL9_HEAP_BASELINES(KILL9_LIST)
    KILL9_PEERS(KILL9_LIST)
    KILL9_CHANNEL_PEERS(KILL9_LIST)
#undef KILL9_LIST
    return made;
  }();
  return *lists;
}

template <typename T>
const T* Find(const std::vector<const T*>& list, std::string_view name) {
  const auto found =
      std::find_if(list.begin(), list.end(), [name](const T* one) { return one->name() == name; });
  return found == list.end() ? nullptr : *found;
}

}  // namespace

std::span<const Design* const> AllDesigns() { return AllLists().designs; }
const Design* FindDesign(std::string_view name) { return Find(AllLists().designs, name); }
std::span<const Variant* const> AllVariants() { return AllLists().variants; }
const Variant* FindVariant(std::string_view name) { return Find(AllLists().variants, name); }
std::span<const ChannelDesign* const> AllChannels() { return AllLists().channels; }
std::span<const HeapDesign* const> AllHeaps() { return AllLists().heaps; }

absl::Status AddDesigns(std::span<const Design* const> designs) {
  std::set<std::string_view> names;
  for (const Design* design : designs) {
    if (FindDesign(design->name()) != nullptr || !names.insert(design->name()).second) {
      return absl::AlreadyExistsError(
          absl::StrCat("there is a design '", std::string(design->name()), "' already"));
    }
  }
  for (const Design* design : designs) AllLists().Add(*design);
  return absl::OkStatus();
}

std::span<const PeerPackage> PeerPackages() {
  static constexpr PeerPackage kPackages[] = {{"lmdb", "liblmdb-dev"},
                                              {"tdb", "libtdb-dev"},
                                              {"boost_interprocess", "libboost-dev"},
                                              {"boost_message_queue", "libboost-dev"},
                                              {"berkeley_db", "libdb-dev"},
                                              {"sqlite_wal", "libsqlite3-dev"},
                                              {"sqlite_wal_checkpoint", "libsqlite3-dev"},
                                              {"gdbm", "libgdbm-dev"},
                                              {"tokyo_cabinet", "libtokyocabinet-dev"},
                                              {"tokyo_cabinet_plain", "libtokyocabinet-dev"},
                                              {"tkrzw", "libtkrzw-dev"},
                                              {"tkrzw_in_turn", "libtkrzw-dev"},
                                              {"tkrzw_in_place", "libtkrzw-dev"},
                                              {"pmemobj", "libpmemobj-dev"}};
  return kPackages;
}

}  // namespace kill9
