// mutex_vector: a vector of messages that grows, under one robust mutex.
//
// The oldest way of passing messages through a shared file, made right: whoever dies with the mutex
// leaves a truth that every single store keeps whole, and what follows from it is made anew. Layout
// and invariants: layout.h; operations and their commit points: space.cc; recovery: recovery.cc;
// audit: audit.cc. The argument: docs/decisions/2026-11-28-mutex-vector.md.
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "variants/channels/mutex_vector/mutex_vector_channel.h"

namespace kill9 {
namespace {

using mutex_vector::Ledger;
using mutex_vector::Space;

constexpr std::string_view kName = "mutex_vector";

SegmentLayout Layout() {
  return {.design = kName, .layout_version = 1, .ledger_bytes = sizeof(Ledger), .grows = true};
}

class MutexVectorDesign final : public ChannelDesign {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "a vector of messages that grows, under one robust mutex; receivers may take all at "
           "once";
  }
  const ChannelTraits& traits() const override {
    static const ChannelTraits traits = [] {
      ChannelTraits own;
      own.grows = true;
      own.recovery_trigger =
          "the next locker makes anew what a half-done operation left; holds come back by "
          "Recover(), or by a call that would have to wait";
      own.recovery_cost = "the number of messages in the channel";
      return own;
    }();
    return traits;
  }

  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    SegmentLayout layout = Layout();
    const absl::StatusOr<Space::Sizes> sizes =
        Space::SizesOf(options, Segment::BodyOffset(options.max_participants, sizeof(Ledger)));
    if (!sizes.ok()) return sizes.status();
    layout.first_body_bytes = sizes->extents_begin + sizes->first_extents * sizes->extent_bytes -
                              Segment::BodyOffset(options.max_participants, sizeof(Ledger));
    return Segment::Create(options, layout, [&](Segment& segment, SegmentHeader& header) {
      return Space::Format(segment, header, *sizes);
    });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, Layout());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, Layout());
  }
  absl::StatusOr<std::unique_ptr<Channel>> Attach(std::shared_ptr<Segment> segment,
                                                  const Membership& membership) const override {
    if (absl::Status status = Space::Check(*segment); !status.ok()) return status;
    Space space(segment);
    // Whoever is alone makes everything anew: whatever was under way in a copy, and whatever damage
    // has come to a file at rest. Where the truth contradicts itself the next one says so.
    std::string damage;
    const auto reset = [&space, &damage] {
      mutex_vector::ChannelHeader& header = space.header();
      const bool was_free = header.mutex.LooksFree();
      if (was_free) damage = space.WhatDoesNotFollow();
      const mutex_vector::ExtentLink shared = was_free && damage.empty() ? header.shared : 0;
      header.mutex.Reset(/*owner_died=*/true);
      // dies here, or in it -> the next one to lock it makes everything anew
      if (!was_free || !space.Rebuild()) return;
      header.shared = shared;
      header.mutex.Reset(/*owner_died=*/false);
    };
    // If there is damage, the participant's operations report it.
    absl::StatusOr<Participant> participant =
        ClaimAdmitted(space.participants(), segment->fd(), reset,
                      [&space] { mutex_vector::RecoverDead(space).IgnoreError(); });
    if (!participant.ok()) return participant.status();
    return std::make_unique<mutex_vector::MutexVectorChannel>(
        std::move(segment), *std::move(participant), membership.role, std::move(damage));
  }
};

}  // namespace

const ChannelDesign& MutexVector();
const ChannelDesign& MutexVector() {
  static const MutexVectorDesign design;
  return design;
}

}  // namespace kill9
