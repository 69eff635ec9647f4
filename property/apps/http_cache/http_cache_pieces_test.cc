// Long bodies lie in pieces: no response ever has a piece of another one's.
#include <gtest/gtest.h>

#include <string>

#include "apps/http_cache/cache/cache.h"
#include "variants/registry.h"

namespace kill9::http {
namespace {

constexpr int64_t kStored_ms = 1'700'000'000'000;

class HttpCachePieces : public testing::Test {
 protected:
  HttpCachePieces() {
    const Variant& design = *FindStoreDesign("cas_slots");
    SegmentOptions options;
    options.size_bytes = 32 << 20;
    options.keeps_terms = true;
    store_ = *design.Attach(*design.Create(options));
    cache_ = std::make_unique<Cache>(store_.get(), options.size_bytes / 4);
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
    Cache::Body body(cache_.get(), life);
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
      const auto found = cache_->FindPiece(record, piece);
      if (found == nullptr) return "";
      body += found->record.body;
    }
    return body;
  }

  std::unique_ptr<kill9::Store> store_;
  std::unique_ptr<Cache> cache_;
};

TEST_F(HttpCachePieces, OfTwoResponsesEachHasItsOwn) {
  Store("http://one/");
  Store("http://two/");
  EXPECT_TRUE(Fetch("http://one/") == BodyOf("http://one/"));
  EXPECT_TRUE(Fetch("http://two/") == BodyOf("http://two/"));
}

}  // namespace
}  // namespace kill9::http
