# What a program that is the command is linked with (KILL9_MAIN, docs/plugin.md): libkill9.a, made
# of the line that would link such a program here.
set(KILL9_PROGRAM_LIBRARY ${CMAKE_BINARY_DIR}/program)
set(script ${CMAKE_SOURCE_DIR}/packaging/program/link_library.sh)
add_executable(kill9_program ${script})
set_target_properties(kill9_program PROPERTIES LINKER_LANGUAGE CXX LINK_DEPENDS ${script}
  RUNTIME_OUTPUT_DIRECTORY ${KILL9_PROGRAM_LIBRARY} OUTPUT_NAME libkill9.a
  RULE_LAUNCH_LINK "${script} ${CMAKE_BINARY_DIR}/kill9 ${KILL9_PROGRAM_LIBRARY}")
target_link_libraries(kill9_program PRIVATE kill9_command)
add_dependencies(kill9_program kill9)
install(FILES ${KILL9_PROGRAM_LIBRARY}/libkill9.a ${KILL9_PROGRAM_LIBRARY}/libkill9-command.a
  DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development OPTIONAL)
