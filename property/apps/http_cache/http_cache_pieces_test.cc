// Long bodies lie in pieces: no response ever has a piece of another one's, none is sent of which
// one is lost, and all of one response are in the same file.
#include <gtest/gtest.h>

#include <string>

#include "apps/http_cache/cache/cache.h"
#include "variants/registry.h"

namespace kill9::http {
namespace {

constexpr int64_t kStored_ms = 1'700'000'000'000;
constexpr size_t kFiles = 3;

class HttpCachePieces : public testing::Test {
 protected:
  HttpCachePieces() {
    const Variant& design = *FindStoreDesign("cas_slots");
    SegmentOptions options;
    options.size_bytes = 32 << 20;
    options.keeps_terms = true;
    std::vector<std::shared_ptr<Segment>> segments;
    for (size_t i = 0; i < kFiles; ++i) segments.push_back(*design.Create(options));
    stores_ = *server::Cluster::Attach(design, segments);
    cache_ = std::make_unique<Cache>(stores_.get(), options.size_bytes / 4);
  }

  // A body that tells whose it is, in each of its lines.
  static std::string BodyOf(const std::string& url) {
    std::string body;
    while (body.size() < 3'000'000) body += url + " " + std::to_string(body.size()) + "\n";
    return body;
  }
  void Store(const std::string& url) {
    ResponseHead response;
    response.status = 200;
    response.fields = {{"cache-control", "max-age=1000"}};
    Life life;
    ASSERT_EQ(MayKeep(FactsOf({}), response, kStored_ms, kStored_ms, &life), Keep::kYes);
    const Lookup lookup = cache_->Find(url, {}, kStored_ms);
    Cache::Body body(cache_.get(), url, life);
    ASSERT_TRUE(body.Append(BodyOf(url)));
    ASSERT_TRUE(cache_->Put(lookup.place, {}, response, life, body, kStored_ms));
  }
  std::string Fetch(const std::string& url) {
    const Lookup lookup = cache_->Find(url, {}, kStored_ms);
    if (!lookup.found) return "";
    const Record& record = lookup.found->record;
    EXPECT_GT(record.pieces(), 1u) << "its body is in no pieces: nothing is shown";
    std::string body;
    for (uint64_t piece = 0; piece < record.pieces(); ++piece) {
      const auto found = cache_->FindPiece(url, record.fixed, piece);
      if (found == nullptr) return "";
      body += found->record.body;
    }
    return body;
  }

  std::vector<std::string> KeysOf(size_t share) {
    std::vector<std::string> keys;
    EXPECT_TRUE(stores_->stores()[share]
                    ->ForEach([&](const EntryView& entry) {
                      keys.emplace_back(entry.key);
                      return true;
                    })
                    .ok());
    return keys;
  }

  std::unique_ptr<server::Cluster> stores_;
  std::unique_ptr<Cache> cache_;
};

TEST_F(HttpCachePieces, OfTwoResponsesEachHasItsOwn) {
  Store("http://one/");
  Store("http://two/");
  EXPECT_TRUE(Fetch("http://one/") == BodyOf("http://one/"));
  EXPECT_TRUE(Fetch("http://two/") == BodyOf("http://two/"));
}

TEST_F(HttpCachePieces, AreInTheFileOfTheirResponse) {
  size_t in_use = 0;
  for (int i = 0; i < 4; ++i) Store("http://host/" + std::to_string(i));
  for (size_t share = 0; share < kFiles; ++share) {
    size_t responses = 0, pieces = 0;
    for (const std::string& key : KeysOf(share)) ++(key.starts_with("p") ? pieces : responses);
    EXPECT_EQ(pieces, 3 * responses) << "in file " << share;
    in_use += responses > 0 ? 1 : 0;
  }
  EXPECT_GT(in_use, 1u) << "all are in one file: nothing is shown";
}

// Whichever it is, the response is fetched anew, and no client gets a part of it again and again.
TEST_F(HttpCachePieces, AResponseThatHasLostOneIsNotFoundAgain) {
  for (const char* lost : {"/0", "/1", "/2"}) {
    const std::string url = std::string("http://host") + lost;
    Store(url);
    cache_->DropHeldPieces();
    const size_t share = stores_->ShareOf(url);
    for (const std::string& key : KeysOf(share)) {
      if (!key.starts_with("p") || !key.ends_with(lost)) continue;
      ASSERT_TRUE(stores_->stores()[share]->Erase(key).value());
    }
    EXPECT_EQ(Fetch(url), "");  // the one who meets it first
    EXPECT_FALSE(cache_->Find(url, {}, kStored_ms).found.has_value()) << lost;
    Store(url);
    EXPECT_TRUE(Fetch(url) == BodyOf(url)) << lost;
    for (const std::string& key : KeysOf(share)) {
      if (!key.starts_with("p")) continue;
      ASSERT_TRUE(stores_->stores()[share]->Erase(key).ok());
    }
    cache_->DropHeldPieces();
  }
}

}  // namespace
}  // namespace kill9::http
