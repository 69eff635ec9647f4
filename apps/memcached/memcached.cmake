# kill9-memcached. Its parts are a library, so that tests can link them. Only where libevent is
# installed.
pkg_check_modules(LIBEVENT IMPORTED_TARGET libevent_core>=2.1)
if(LIBEVENT_FOUND)
  file(GLOB MEMCACHED_SOURCES CONFIGURE_DEPENDS apps/memcached/protocol/*.cc
    apps/memcached/items/*.cc apps/memcached/options/*.cc apps/memcached/commands/*.cc
    apps/memcached/server/*.cc)
  add_library(kill9_memcached_parts STATIC ${MEMCACHED_SOURCES})
  target_link_libraries(kill9_memcached_parts PUBLIC kill9_server kill9_cluster kill9_variants
    PkgConfig::LIBEVENT)
  target_precompile_headers(kill9_memcached_parts REUSE_FROM kill9_variants)
  kill9_unity(kill9_memcached_parts 2)
  add_executable(kill9-memcached apps/memcached/kill9_memcached.cc)
  target_link_libraries(kill9-memcached PRIVATE kill9_memcached_parts)
  target_precompile_headers(kill9-memcached REUSE_FROM kill9_variants)
  # Not the libraries of the peers: to load them takes longer than to begin on a warm file.
  target_link_options(kill9-memcached PRIVATE LINKER:--as-needed)
else()
  string(APPEND KILL9_TESTS_OF_MISSING_APPS "|/property/apps/memcached/")
  message(STATUS "kill9-memcached is left out: the package libevent-dev is not installed")
endif()
