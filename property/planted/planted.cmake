# Planted bugs: patches over the real variants, and over apps/connections (docs/planted_bugs.md).
#
# Every patch is checked to apply in every build. What one makes of kill9 is built on demand only,
# and of it only the sources that the patch touches: they come before the libraries when linking, so
# the libraries' versions of them stay out.
#
#   planted_NAME              the kill9 command, with that bug:    planted/NAME/kill9; of a bug of
#                             apps/connections, which no command has: nothing
#   planted_NAME_conformance  one property test likewise, where that tier is expected to catch it
#   planted_NAME_threads      threads_test likewise, for the tsan preset
#   planted_NAME_explore      kill9-explore likewise, where there is a clang, for the tier explore
#   planted                   the first two, for all; planted_threads: the third
#
# planted/manifest.json lists them all, for `kill9 planted` and `kill9 gate`.

find_program(PATCH_PROGRAM patch REQUIRED)
file(GLOB PLANTED_PATCHES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/property/planted/*/*.patch)
# A change of one configures anew: its header is data of the build.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PLANTED_PATCHES})
file(GLOB_RECURSE PLANTED_ORIGINALS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/variants/*.cc
  ${CMAKE_SOURCE_DIR}/variants/*.h ${CMAKE_SOURCE_DIR}/apps/connections/*.cc
  ${CMAKE_SOURCE_DIR}/apps/connections/*.h)

add_custom_target(planted)
add_custom_target(planted_threads)

# The value of "key: value" in the header of a patch; empty if there is none.
function(planted_field patch key result)
  file(STRINGS ${patch} lines REGEX "^${key}: " LIMIT_COUNT 1)
  string(REGEX REPLACE "^${key}: *" "" value "${lines}")
  set(${result} "${value}" PARENT_SCOPE)
endfunction()

# The sources to compile anew when these files are changed.
function(planted_sources patch result)
  file(STRINGS ${patch} lines REGEX "^\\+\\+\\+ b/")
  set(sources)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^\\+\\+\\+ b/([^\t ]+).*" "\\1" touched "${line}")
    if(touched MATCHES "\\.cc$")
      list(APPEND sources ${touched})
    elseif(touched MATCHES "^variants/segment/short_bytes")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/variants/stores/locked/*.cc
        ${CMAKE_SOURCE_DIR}/variants/stores/global_mutex/*.cc
        ${CMAKE_SOURCE_DIR}/variants/stores/striped_locks/*.cc
        ${CMAKE_SOURCE_DIR}/variants/stores/cas_slots/*.cc)
      list(APPEND sources ${found})
    elseif(touched MATCHES "^variants/(stores/locked/|segment/robust_mutex)")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/variants/stores/locked/*.cc
        ${CMAKE_SOURCE_DIR}/variants/stores/global_mutex/*.cc
        ${CMAKE_SOURCE_DIR}/variants/stores/striped_locks/*.cc)
      list(APPEND sources ${found})
    elseif(touched MATCHES "^variants/stores/(cas_slots|seqlock_ring)/")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR}
        ${CMAKE_SOURCE_DIR}/variants/stores/${CMAKE_MATCH_1}/*.cc)
      list(APPEND sources ${found})
    elseif(touched MATCHES
           "^variants/channels/(slot_ring|sender_lanes|broadcast_ring|mutex_vector)/")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR}
        ${CMAKE_SOURCE_DIR}/variants/channels/${CMAKE_MATCH_1}/*.cc)
      list(APPEND sources ${found})
    elseif(touched MATCHES "^variants/channels/shared/")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR}
        ${CMAKE_SOURCE_DIR}/variants/channels/shared/*.cc
        ${CMAKE_SOURCE_DIR}/variants/channels/slot_ring/*.cc
        ${CMAKE_SOURCE_DIR}/variants/channels/sender_lanes/*.cc
        ${CMAKE_SOURCE_DIR}/variants/channels/broadcast_ring/*.cc)
      list(APPEND sources ${found})
    elseif(touched MATCHES "^variants/buffers/")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/variants/buffers/*.cc)
      list(APPEND sources ${found})
    elseif(touched MATCHES "^variants/heaps/shared/")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/variants/heaps/*/*.cc)
      list(APPEND sources ${found})
    elseif(touched MATCHES "^variants/heaps/(coalescing_heap|size_class_heap)/")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR}
        ${CMAKE_SOURCE_DIR}/variants/heaps/${CMAKE_MATCH_1}/*.cc)
      list(APPEND sources ${found})
    elseif(touched MATCHES "^apps/connections/")
      file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/apps/connections/*.cc)
      list(APPEND sources ${found})
    else()
      message(FATAL_ERROR "${patch}: who includes ${touched}? Say so in planted.cmake.")
    endif()
  endforeach()
  list(FILTER sources EXCLUDE REGEX "_(test|benchmark)\\.cc$")
  list(REMOVE_DUPLICATES sources)
  set(${result} ${sources} PARENT_SCOPE)
endfunction()

function(planted_executable target directory output objects libraries)
  add_executable(${target} EXCLUDE_FROM_ALL ${ARGN} $<TARGET_OBJECTS:${objects}>)
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${directory} OUTPUT_NAME ${output})
  target_include_directories(${target} BEFORE PRIVATE ${directory})
  # What a bug leaves unused is no error.
  target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1 -g1> -Wno-error)
  target_link_libraries(${target} PRIVATE kill9_reports ${libraries})
endfunction()

set(PLANTED_MANIFEST)
set(PLANTED_STAMPS)
foreach(patch IN LISTS PLANTED_PATCHES)
  get_filename_component(name ${patch} NAME_WE)
  get_filename_component(folder ${patch} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR} ${patch})
  set(directory ${CMAKE_BINARY_DIR}/planted/${name})
  foreach(key what variant classes verdict tiers budget_s sweep torture explore conformance tsan)
    planted_field(${patch} ${key} ${key})
    if("${${key}}" MATCHES "[\"\\\\;]")
      message(FATAL_ERROR "${patch}: ${key} may contain no quotes, backslashes or semicolons")
    endif()
  endforeach()
  set(control false)
  if(folder STREQUAL "controls")
    set(control true)
  elseif(NOT variant)
    set(variant ${folder})
  endif()

  planted_sources(${patch} sources)
  file(STRINGS ${patch} touched REGEX "^\\+\\+\\+ b/")
  list(TRANSFORM touched REPLACE "^\\+\\+\\+ b/([^\t ]+).*" "${CMAKE_SOURCE_DIR}/\\1")
  set(stamp ${directory}/applies)
  file(MAKE_DIRECTORY ${directory})
  add_custom_command(OUTPUT ${stamp}
    COMMAND ${PATCH_PROGRAM} --dry-run --force --silent --fuzz=0 -p1
      -d ${CMAKE_SOURCE_DIR} -i ${patch}
    COMMAND touch ${stamp}
    DEPENDS ${patch} ${touched} COMMENT "Does ${relative} apply?" VERBATIM)
  list(APPEND PLANTED_STAMPS ${stamp})

  set(copies ${sources})
  list(TRANSFORM copies PREPEND ${directory}/)
  add_custom_command(OUTPUT ${copies}
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${directory}/variants
    COMMAND ${CMAKE_COMMAND} -E copy_directory ${CMAKE_SOURCE_DIR}/variants ${directory}/variants
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${directory}/apps
    COMMAND ${CMAKE_COMMAND} -E copy_directory ${CMAKE_SOURCE_DIR}/apps/connections
      ${directory}/apps/connections
    COMMAND ${PATCH_PROGRAM} --force --silent --fuzz=0 -p1 -d ${directory} -i ${patch}
    DEPENDS ${patch} ${PLANTED_ORIGINALS} COMMENT "Planting ${name}" VERBATIM)

  set(copies_of_variants ${copies})
  list(FILTER copies_of_variants INCLUDE REGEX "^${directory}/variants/")
  if(copies_of_variants)
    planted_executable(planted_${name} ${directory} kill9 kill9 kill9_command ${copies_of_variants})
  else()
    add_custom_target(planted_${name})
  endif()
  add_dependencies(planted planted_${name})
  set(conformance_command)
  if(conformance)
    separate_arguments(words UNIX_COMMAND "${conformance}")
    list(GET words 0 test)
    planted_executable(planted_${name}_conformance ${directory} ${test}
      ${TEST_PROGRAM_OF_${test}} "kill9_connections;kill9_test_main"
      ${copies})
    add_dependencies(planted planted_${name}_conformance)
    string(REGEX REPLACE "^[^ ]+" "${directory}/${test}" conformance_command "${conformance}")
  endif()
  set(tsan_command)
  if(tsan)
    planted_executable(planted_${name}_threads ${directory} threads_test
      ${TEST_PROGRAM_OF_threads_test} kill9_test_main ${copies})
    add_dependencies(planted_threads planted_${name}_threads)
    string(REGEX REPLACE "^[^ ]+" "${CMAKE_SOURCE_DIR}/build/tsan/planted/${name}/threads_test"
      tsan_command "${tsan}")
  endif()

  set(explorer)
  if(KILL9_HAVE_EXPLORER AND copies_of_variants)
    set(explorer ${directory}/kill9-explore)
    kill9_explored(explored ${directory} ${copies_of_variants})
    set(unchanged ${EXPLORED_DESIGNS})
    foreach(source IN LISTS sources)
      list(REMOVE_ITEM unchanged ${CMAKE_BINARY_DIR}/explore/${source}.o)
    endforeach()
    kill9_explore_program(planted_${name}_explore EXCLUDE_FROM_ALL ${explored} ${unchanged}
      stress/command/explore/explore_main.cc)
    set_target_properties(planted_${name}_explore PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${directory} OUTPUT_NAME kill9-explore)
  endif()

  string(REPLACE ", " "," lists "${classes}|${tiers}|${verdict}")
  string(REGEX REPLACE "^([^|]*)\\|([^|]*)\\|([^|]*)$" "\\1" classes "${lists}")
  string(REGEX REPLACE "^([^|]*)\\|([^|]*)\\|([^|]*)$" "\\2" tiers "${lists}")
  string(REGEX REPLACE "^([^|]*)\\|([^|]*)\\|([^|]*)$" "\\3" verdict "${lists}")
  string(REPLACE "," "\", \"" tiers "${tiers}")
  string(REPLACE "," "\", \"" verdict "${verdict}")
  string(APPEND PLANTED_MANIFEST
    "${separator}  {\"name\": \"${name}\", \"variant\": \"${variant}\", \"control\": ${control},
   \"what\": \"${what}\",
   \"classes\": [${classes}], \"tiers\": [\"${tiers}\"], \"verdicts\": [\"${verdict}\"], \
\"budget_s\": ${budget_s},
   \"command\": \"${directory}/kill9\",
   \"sweep\": \"${sweep}\", \"torture\": \"${torture}\",
   \"explorer\": \"${explorer}\", \"explore\": \"${explore}\",
   \"conformance_command\": \"${conformance_command}\", \"tsan_command\": \"${tsan_command}\",
   \"target\": \"planted_${name}\", \"patch\": \"${relative}\"}")
  set(separator ",\n")
endforeach()

add_custom_target(planted_patches ALL DEPENDS ${PLANTED_STAMPS})
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/planted/manifest.json
  CONTENT "[\n${PLANTED_MANIFEST}\n]\n" @ONLY)
