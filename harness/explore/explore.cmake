# The explorer (docs/explore.md): the designs of variants/, unchanged, compiled by clang with
# -fsanitize=thread for a runtime of our own, and linked with it into kill9-explore. All else of the
# build stays as it is, and takes place without a clang, too: `kill9 explore` then says `skipped`.

set(KILL9_EXPLORE_REASON "")
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(KILL9_EXPLORE_REASON "it switches stacks on x86-64 only")
elseif(KILL9_SANITIZE)
  set(KILL9_EXPLORE_REASON "a build with sanitizers has a runtime of theirs")
else()
  find_program(KILL9_EXPLORE_CLANG NAMES clang++-14 clang++-19 clang++-18 clang++-17 clang++-16
    clang++-15 clang++)
  if(NOT KILL9_EXPLORE_CLANG)
    set(KILL9_EXPLORE_REASON "no clang was found at build; ./dev installs one")
  endif()
endif()

# As the compiler shall instrument: every access, and nothing else. What stands at the end of
# several branches is not merged: it would have no line.
set(KILL9_EXPLORE_FLAGS -std=c++20 -O1 -g -gdwarf-aranges -DNDEBUG -D_GNU_SOURCE
  -DKILL9_VERSION="${PROJECT_VERSION}"
  -fPIE -fno-omit-frame-pointer -fsanitize=thread -I${CMAKE_SOURCE_DIR}
  -mllvm -tsan-instrument-read-before-write=1 -mllvm -tsan-instrument-func-entry-exit=0
  -mllvm -tsan-handle-cxx-exceptions=0 -mllvm -enable-tail-merge=0
  -include ${CMAKE_SOURCE_DIR}/harness/explore/base/explored_code.h)

# A clang is believed by its effect: an access calls the hook, a function call none.
if(NOT KILL9_EXPLORE_REASON)
  set(probe ${CMAKE_BINARY_DIR}/explore/probe)
  file(WRITE ${probe}.cc "#include <atomic>\n#include <optional>\n"
    "int Plain(int* word) { return *word; }\n"
    "int Atomic(std::atomic<int>& word) { return word.load(std::memory_order_acquire); }\n")
  execute_process(COMMAND ${KILL9_EXPLORE_CLANG} ${KILL9_EXPLORE_FLAGS} -S -o ${probe}.s ${probe}.cc
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(status EQUAL 0)
    file(READ ${probe}.s assembly)
    if(NOT assembly MATCHES "__tsan_read4" OR NOT assembly MATCHES "__tsan_atomic32_load" OR
       assembly MATCHES "__tsan_func_entry")
      set(status 1)
    endif()
  endif()
  if(NOT status EQUAL 0)
    set(KILL9_EXPLORE_REASON "${KILL9_EXPLORE_CLANG} does not instrument as the explorer needs it")
  endif()
endif()

if(KILL9_EXPLORE_REASON)
  message(STATUS "No explorer: ${KILL9_EXPLORE_REASON}")
  set(KILL9_HAVE_EXPLORER OFF)
  return()
endif()

# What most of them include is compiled once, as in CMakeLists.txt, with the templates that it
# instantiates: the code is the same.
set(EXPLORE_PRECOMPILED)
set(explore_precompiled_flags)
if(NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
  set(EXPLORE_PRECOMPILED ${CMAKE_BINARY_DIR}/explore/precompiled.h.pch)
  list(TRANSFORM KILL9_VARIANT_HEADERS PREPEND "#include " OUTPUT_VARIABLE lines)
  list(JOIN lines "\n" lines)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/explore/precompiled.h CONTENT "${lines}\n")
  add_custom_command(OUTPUT ${EXPLORE_PRECOMPILED}
    COMMAND ${KILL9_EXPLORE_CLANG} ${KILL9_EXPLORE_FLAGS} -fpch-instantiate-templates -x c++-header
      -o ${EXPLORE_PRECOMPILED} ${CMAKE_BINARY_DIR}/explore/precompiled.h
    DEPENDS ${CMAKE_BINARY_DIR}/explore/precompiled.h COMMENT "To be explored: common headers"
    VERBATIM)
  set(explore_precompiled_flags -include-pch ${EXPLORE_PRECOMPILED})
endif()

# kill9_explored(RESULT ROOT SOURCE...): objects of these sources, compiled to be explored. What
# they include is looked for in the folder ROOT first.
function(kill9_explored result root)
  set(objects)
  foreach(source IN LISTS ARGN)
    file(RELATIVE_PATH name ${root} ${source})
    set(object ${root}/${name}.o)
    if(root STREQUAL CMAKE_SOURCE_DIR)
      set(object ${CMAKE_BINARY_DIR}/explore/${name}.o)
    endif()
    get_filename_component(folder ${object} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${KILL9_EXPLORE_CLANG} -I${root} ${KILL9_EXPLORE_FLAGS}
        ${explore_precompiled_flags} -MD -MF ${object}.d -MT ${object} -c -o ${object} ${source}
      DEPENDS ${source} ${EXPLORE_PRECOMPILED} DEPFILE ${object}.d
      COMMENT "To be explored: ${name}" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  set_source_files_properties(${objects} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  set(${result} ${objects} PARENT_SCOPE)
endfunction()

set(EXPLORED_SOURCES ${VARIANT_SOURCES})
list(FILTER EXPLORED_SOURCES EXCLUDE REGEX "/variants/peers/")
# A channel that scenes of pools have.
set(box ${CMAKE_SOURCE_DIR}/harness/explore/scenes/pools/note_box.cc)
set_source_files_properties(${box} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
list(APPEND EXPLORED_SOURCES ${box})
kill9_explored(EXPLORED_DESIGNS ${CMAKE_SOURCE_DIR} ${EXPLORED_SOURCES})

file(GLOB_RECURSE EXPLORE_SOURCES CONFIGURE_DEPENDS harness/explore/*.cc)
list(FILTER EXPLORE_SOURCES EXCLUDE REGEX "_test\\.cc$")
# Of the scenes, and of what does them again in the shipped program, kill9 has the same.
list(REMOVE_ITEM EXPLORE_SOURCES ${HARNESS_SOURCES})
add_library(kill9_explorer STATIC ${EXPLORE_SOURCES})
target_link_libraries(kill9_explorer PUBLIC kill9_harness)
target_compile_options(kill9_explorer PRIVATE ${KILL9_LINES_ONLY})
target_precompile_headers(kill9_explorer REUSE_FROM kill9_torture)
kill9_unity(kill9_explorer 2)
# What explored code calls by these names comes to the runtime; the standard library, too, whose
# copies of bytes nobody has instrumented: so it is linked from its archive.
set(wrapped memcpy memmove memset memcmp bcmp malloc calloc realloc free open close fcntl mmap
  munmap madvise fstat syscall nanosleep usleep sched_yield clock_gettime getpid gettid kill
  getrandom read pwrite ppoll inotify_init1 inotify_add_watch inotify_rm_watch
  sem_wait sem_trywait
  sem_post pthread_mutex_lock pthread_mutex_trylock pthread_mutex_clocklock pthread_mutex_timedlock
  pthread_mutex_unlock pthread_mutex_consistent _ZSt11_Hash_bytesPKvmm)
list(TRANSFORM wrapped PREPEND "-Wl,--wrap=")
target_link_options(kill9_explorer PUBLIC ${wrapped} -static-libstdc++)

# The command that each such program is.
file(GLOB EXPLORE_COMMAND_SOURCES CONFIGURE_DEPENDS stress/command/explore/*.cc)
list(FILTER EXPLORE_COMMAND_SOURCES EXCLUDE REGEX "/explore_(command|main)[.]cc$")
add_library(kill9_explore_command STATIC ${EXPLORE_COMMAND_SOURCES})
target_link_libraries(kill9_explore_command PUBLIC kill9_explorer kill9_command)
target_compile_options(kill9_explore_command PRIVATE ${KILL9_QUICK_COMPILE})
target_precompile_headers(kill9_explore_command REUSE_FROM kill9_reports)
kill9_unity(kill9_explore_command 3)

# kill9_explore_program(TARGET SOURCE_OR_OBJECT...). The explored objects come first: of functions
# that are defined in several objects the first is linked.
function(kill9_explore_program target)
  add_executable(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE kill9_explore_command)
  target_compile_options(${target} PRIVATE ${KILL9_QUICK_COMPILE})
  target_precompile_headers(${target} REUSE_FROM kill9_reports)
  kill9_knows_its_commit(${target})
endfunction()
kill9_explore_program(kill9-explore ${EXPLORED_DESIGNS} stress/command/explore/explore_main.cc)
set(KILL9_HAVE_EXPLORER ON)
