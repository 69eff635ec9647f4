// Whether this build has ThreadSanitizer: g++ and clang say it differently.
#ifndef KILL9_VARIANTS_SEGMENT_THREAD_SANITIZER_H_
#define KILL9_VARIANTS_SEGMENT_THREAD_SANITIZER_H_

namespace kill9 {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#elif defined(__has_feature)
inline constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_THREAD_SANITIZER_H_
