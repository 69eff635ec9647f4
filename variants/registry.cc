#include "variants/registry.h"

#include <array>

// The designs: one line each. Every design's folder defines `const Variant& <Name>()`.
#define KILL9_VARIANTS(VARIANT) \
  VARIANT(GlobalMutex)          \
  VARIANT(StripedLocks)         \
  VARIANT(SeqlockRing)          \
  VARIANT(CasSlots)

// The designs that people really ship, kept to show what the testbed says of them
// (variants/baselines/).
#define KILL9_BASELINES(VARIANT)     \
  VARIANT(UnsynchronisedHash)        \
  VARIANT(OneUnnamedSemaphore)       \
  VARIANT(OwnerPidMutexWithWatchDog) \
  VARIANT(RobustMutexUnrepaired)     \
  VARIANT(SharedReferenceCount)

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
#else
#define KILL9_PEER_BOOST(VARIANT)
#endif
#ifdef KILL9_HAVE_BERKELEY_DB
#define KILL9_PEER_BERKELEY(VARIANT) VARIANT(BerkeleyDb)
#else
#define KILL9_PEER_BERKELEY(VARIANT)
#endif
#define KILL9_PEERS(VARIANT) \
  KILL9_PEER_LMDB(VARIANT)   \
  KILL9_PEER_TDB(VARIANT)    \
  KILL9_PEER_BOOST(VARIANT)  \
  KILL9_PEER_BERKELEY(VARIANT)

namespace kill9 {

#define KILL9_DECLARE(Name) const Variant& Name();
KILL9_VARIANTS(KILL9_DECLARE)
KILL9_BASELINES(KILL9_DECLARE)
KILL9_PEERS(KILL9_DECLARE)
#undef KILL9_DECLARE

std::span<const Variant* const> AllVariants() {
#define KILL9_LIST(Name) &Name(),
  static const std::array kVariants = {KILL9_VARIANTS(KILL9_LIST) KILL9_BASELINES(KILL9_LIST)
                                           KILL9_PEERS(KILL9_LIST)};
#undef KILL9_LIST
  return kVariants;
}

std::span<const PeerPackage> PeerPackages() {
  static constexpr PeerPackage kPackages[] = {{"lmdb", "liblmdb-dev"},
                                              {"tdb", "libtdb-dev"},
                                              {"boost_interprocess", "libboost-dev"},
                                              {"berkeley_db", "libdb-dev"}};
  return kPackages;
}

const Variant* FindVariant(std::string_view name) {
  for (const Variant* variant : AllVariants()) {
    if (variant->name() == name) return variant;
  }
  return nullptr;
}

}  // namespace kill9
