# The harness, in two libraries: what torture of the designs needs, since the first verdict after a
# fresh clone waits for it, and the rest.

# A program with the property KILL9_OURS_ONLY brings a registry of its own.
set(ours_only $<BOOL:$<TARGET_PROPERTY:KILL9_OURS_ONLY>>)
set(designs $<IF:${ours_only},kill9_variants,kill9_registry>)

# kill9_harness_library(LIBRARY DEPTH SOURCE...): sources that show JSON have a precompiled header
# that does.
function(kill9_harness_library library depth)
  set(json_sources)
  set(sources ${ARGN})
  foreach(source IN LISTS ARGN)
    kill9_uses_json(uses_json ${source})
    if(uses_json)
      list(APPEND json_sources ${source})
    endif()
  endforeach()
  list(REMOVE_ITEM sources ${json_sources})
  add_library(${library}_json OBJECT ${json_sources})
  add_library(${library} STATIC ${sources} $<TARGET_OBJECTS:${library}_json>)
  kill9_unity(${library}_json 2)
  kill9_unity(${library} ${depth})
  foreach(target ${library} ${library}_json)
    target_compile_options(${target} PRIVATE ${KILL9_LINES_ONLY})
    # It does not wait for what only a program that it is part of is linked with.
    set_target_properties(${target} PROPERTIES OPTIMIZE_DEPENDENCIES ON)
    target_link_libraries(${target} PUBLIC nlohmann_json::nlohmann_json PkgConfig::DW
      PkgConfig::CAPSTONE ${designs})
  endforeach()
endfunction()
set(KILL9_HARNESS_HEADERS ${KILL9_COMMON_HEADERS} <chrono> <iostream> <thread>
  <absl/container/flat_hash_map.h> <absl/strings/str_format.h>)
kill9_harness_library(kill9_torture 3 ${TORTURE_SOURCES})
target_precompile_headers(kill9_torture_json PRIVATE ${KILL9_HARNESS_HEADERS} <nlohmann/json.hpp>)
target_precompile_headers(kill9_torture PRIVATE ${KILL9_HARNESS_HEADERS})
kill9_harness_library(kill9_harness 2 ${HARNESS_SOURCES})
target_precompile_headers(kill9_harness_json REUSE_FROM kill9_torture_json)
target_precompile_headers(kill9_harness REUSE_FROM kill9_torture)
target_link_libraries(kill9_harness PUBLIC kill9_torture)
