# What the tests of kill9-memcached run.
if(LIBEVENT_FOUND)
  target_link_libraries(apps_tests PRIVATE kill9_memcached_parts)
  # With a planted bug, which the torture must see.
  add_executable(stale_memcached property/apps/stale_memcached.cc)
  target_link_libraries(stale_memcached PRIVATE kill9_memcached_parts)
  foreach(test memcached_commands_test memcached_deaths_test memcached_torture_test)
    kill9_defines_for_test(${test} KILL9_MEMCACHED="$<TARGET_FILE:kill9-memcached>"
      KILL9_STALE_MEMCACHED="$<TARGET_FILE:stale_memcached>")
  endforeach()
  add_dependencies(apps_tests kill9-memcached stale_memcached)
endif()
