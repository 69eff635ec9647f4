// A program that is the kill9 command with designs of its own: a store that is right, one that
// guards nothing, and a kind that the tree does not have.
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "property/kinds/counter/counter_kind.h"
#include "stress/command/main.h"
#include "variants/registry.h"

namespace {

// Another design under a name of its own.
class OwnDesign final : public kill9::Variant {
 public:
  OwnDesign(std::string_view name, std::string_view like) : name_(name), like_(like) {}

  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return "a design that a program brought along"; }
  const kill9::Traits& traits() const override { return like().traits(); }
  absl::StatusOr<std::shared_ptr<kill9::Segment>> Create(
      const kill9::SegmentOptions& options) const override {
    return like().Create(options);
  }
  absl::StatusOr<std::shared_ptr<kill9::Segment>> Open(
      const kill9::SegmentLocation& location) const override {
    return like().Open(location);
  }
  absl::StatusOr<std::shared_ptr<kill9::Segment>> FromFd(int fd) const override {
    return like().FromFd(fd);
  }
  absl::StatusOr<std::unique_ptr<kill9::Store>> Attach(
      std::shared_ptr<kill9::Segment> segment) const override {
    return like().Attach(std::move(segment));
  }

 private:
  const kill9::Variant& like() const { return *kill9::FindVariant(like_); }

  std::string_view name_;
  std::string_view like_;
};

}  // namespace

int main(int argc, char** argv) {
  static const OwnDesign guarded("own_guarded", "global_mutex");
  static const OwnDesign unguarded("own_unguarded", "unsynchronised_hash");
  kill9::Own own = kill9::CounterKind();
  static std::vector<const kill9::Design*> designs(own.designs.begin(), own.designs.end());
  designs.insert(designs.end(), {&guarded, &unguarded});
  own.designs = designs;
  return kill9::Main(argc, argv, own);
}
