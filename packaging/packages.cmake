# What is installed, and the packages for Debian and Ubuntu that are made of it (`./dev package`).
# Components, each a package of its own: `command` (kill9) is the command with its manual
# pages, completions, documents and examples; `store` (libkill9-store1) the stores for other
# languages (docs/bindings.md); `development` (libkill9-dev) is what an object of one's own
# (docs/plugin.md), and who uses the stores, is compiled with; `memcached` (kill9-memcached) and
# `proxy` (kill9-http-cache) are the programs in apps/, each where it is built.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(KILL9_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/kill9)
configure_package_config_file(packaging/kill9Config.cmake.in ${CMAKE_BINARY_DIR}/kill9Config.cmake
  INSTALL_DESTINATION ${KILL9_CMAKE_DIR}
  PATH_VARS CMAKE_INSTALL_BINDIR CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/kill9ConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
foreach(library kill9 kill9-main kill9-store)
  configure_file(packaging/${library}.pc.in ${CMAKE_BINARY_DIR}/${library}.pc @ONLY)
endforeach()

install(TARGETS kill9 RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
if(KILL9_HAVE_EXPLORER)  # beside the command, if it was built
  install(PROGRAMS $<TARGET_FILE:kill9-explore> DESTINATION ${CMAKE_INSTALL_BINDIR}
    COMPONENT command OPTIONAL)
endif()
# The command writes its own pages when it is installed.
install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\" \"-DKILL9=$<TARGET_FILE:kill9>\"
    \"-DOUTPUT=${CMAKE_BINARY_DIR}/pages\" -P \"${CMAKE_SOURCE_DIR}/packaging/pages.cmake\"
    COMMAND_ERROR_IS_FATAL ANY)" COMPONENT command)
install(DIRECTORY ${CMAKE_BINARY_DIR}/pages/ DESTINATION ${CMAKE_INSTALL_DATADIR}
  COMPONENT command)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kill9
  COMPONENT command)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kill9 COMPONENT command)
install(PROGRAMS packaging/slurm/kill9_array.sh
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kill9/packaging/slurm COMPONENT command)
foreach(examples found metrics plugin workers)
  install(DIRECTORY apps/examples/${examples}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kill9/apps/examples
    USE_SOURCE_PERMISSIONS COMPONENT command)
endforeach()

install(DIRECTORY include/kill9 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(FILES ${CMAKE_BINARY_DIR}/kill9Config.cmake ${CMAKE_BINARY_DIR}/kill9ConfigVersion.cmake
  DESTINATION ${KILL9_CMAKE_DIR} COMPONENT development)
# Of no architecture, and so found by every pkg-config.
install(FILES ${CMAKE_BINARY_DIR}/kill9.pc ${CMAKE_BINARY_DIR}/kill9-main.pc
  ${CMAKE_BINARY_DIR}/kill9-store.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig
  COMPONENT development)
include(packaging/program/program.cmake)

install(TARGETS kill9_store LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT store
  NAMELINK_COMPONENT development)
# What builds itself from the installed library.
install(DIRECTORY bindings/python bindings/ruby
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/kill9/bindings COMPONENT development)

set(CPACK_COMPONENTS_ALL command store development)
foreach(program "memcached;kill9-memcached;apps" "proxy;kill9-http-cache;apps_http")
  list(GET program 0 component)
  list(GET program 1 name)
  list(GET program 2 document)
  if(TARGET ${name})
    install(PROGRAMS $<TARGET_FILE:${name}> DESTINATION ${CMAKE_INSTALL_BINDIR}
      COMPONENT ${component} OPTIONAL)
    install(FILES docs/${document}.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name}
      COMPONENT ${component})
    list(APPEND CPACK_COMPONENTS_ALL ${component})
    string(TOUPPER ${component} component)
    set(CPACK_DEBIAN_${component}_PACKAGE_NAME ${name})
    set(CPACK_DEBIAN_${component}_PACKAGE_SECTION web)
    set(CPACK_DEBIAN_${component}_PACKAGE_SHLIBDEPS ON)
  endif()
endforeach()
set(CPACK_COMPONENT_MEMCACHED_DESCRIPTION
  "cache with memcached's protocol that stays warm through kill -9\n\
A server of memcached's text protocol. Its workers are processes that share\n\
one store in memory or a file: any of them may be killed at any moment, and\n\
all of them may: started again on the same file, the cache is warm.")
set(CPACK_COMPONENT_PROXY_DESCRIPTION
  "caching reverse proxy that stays warm through kill -9\n\
An HTTP cache (RFC 9111) in front of an origin, with HTTPS in front. Its\n\
workers are processes that share one store in memory or a file: any of them\n\
may be killed at any moment, and with a file all of them: it is warm again.")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME kill9)
set(CPACK_PACKAGE_VENDOR kill9)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# A tenth of the time of xz; dpkg of Debian 12 and Ubuntu 22.04 knows it.
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
# Not stripped: which line is to blame is told by the designs' own lines.
set(CPACK_STRIP_FILES OFF)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "kill9 <kill9@localhost>")
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME kill9)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SHLIBDEPS ON)
set(CPACK_COMPONENT_COMMAND_DESCRIPTION
  "kills processes at every instruction, and tests what the others see\n\
What happens to the others when one process is killed, anywhere? The\n\
command kills real processes that share memory, files or locks, at random\n\
moments and at every machine instruction or system call, and proves of\n\
every operation of the survivors that it was consistent. It tests objects\n\
in C and C++, programs in any language that speak a protocol of lines, and\n\
arbitrary programs.")
set(CPACK_DEBIAN_STORE_PACKAGE_NAME libkill9-store1)
set(CPACK_DEBIAN_STORE_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_STORE_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_STORE_PACKAGE_GENERATE_SHLIBS ON)  # and runs ldconfig when it is installed
set(CPACK_COMPONENT_STORE_DESCRIPTION
  "maps in memory that processes share, any of which may be killed\n\
A library with an interface in C: a map of bytes in shared memory or a file,\n\
whose survivors go on when a process is killed at any instruction. For\n\
extensions of other languages.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libkill9-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "kill9 (= ${PROJECT_VERSION}), libkill9-store1 (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
  "headers for objects that kill9 tests\n\
What an object of one's own, in C or C++, is compiled with: headers,\n\
find_package(kill9) with kill9_add_test() for CTest, and files for\n\
pkg-config. With it the sources of extensions of Python and Ruby for the\n\
stores of libkill9-store.")
include(CPack)
