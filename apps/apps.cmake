# Servers and clients over shared memory.
file(GLOB CONNECTIONS_SOURCES CONFIGURE_DEPENDS apps/connections/*.cc)
add_library(kill9_connections STATIC ${CONNECTIONS_SOURCES})
target_link_libraries(kill9_connections PUBLIC kill9_registry)
target_precompile_headers(kill9_connections REUSE_FROM kill9_variants)

# Small programs that use the designs as anybody would.
file(GLOB EXAMPLE_SOURCES CONFIGURE_DEPENDS apps/examples/*.cc)
foreach(source IN LISTS EXAMPLE_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE kill9_connections)
  target_precompile_headers(${name} REUSE_FROM kill9_variants)
endforeach()

# The master of pre-forked workers, and the sockets that they share.
file(GLOB SERVER_SOURCES CONFIGURE_DEPENDS apps/server/*.cc)
add_library(kill9_server STATIC ${SERVER_SOURCES})
target_include_directories(kill9_server PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(kill9_server PUBLIC absl::status absl::statusor absl::strings
  Threads::Threads)
target_precompile_headers(kill9_server REUSE_FROM kill9_variants)
kill9_unity(kill9_server 2)

# One store over several files.
file(GLOB CLUSTER_SOURCES CONFIGURE_DEPENDS apps/cluster/*.cc)
add_library(kill9_cluster STATIC ${CLUSTER_SOURCES})
target_link_libraries(kill9_cluster PUBLIC kill9_variants)
target_precompile_headers(kill9_cluster REUSE_FROM kill9_variants)
kill9_unity(kill9_cluster 2)

# Programs that need packages of their own: each is left out where those are missing, and its tests
# with it (KILL9_TESTS_OF_MISSING_APPS: "|" and what their paths have in common).
set(KILL9_TESTS_OF_MISSING_APPS)
include(apps/memcached/memcached.cmake)
include(apps/http_cache/http_cache.cmake)
