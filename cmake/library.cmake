# kvorum_library(FACE LAYER...): libkvorum.so and libkvorum.a from the objects of the layer FACE and
# whatever those need of the other LAYERs, which are named in dependency order, users first.
#
# Only what include/kvorum declares is exported.  For the shared library hidden visibility sees to that.
# An archive has no such thing: so its objects are first linked into one, whose hidden symbols are then
# made local.  An application may thus have a function arena_reset of its own.

function(kvorum_library face)
  list(TRANSFORM ARGN PREPEND kvorum_ OUTPUT_VARIABLE layers)
  # No layer calls it, yet it is public: without this it would stay in its archive.
  set(roots -Wl,--undefined=kvorum_status_text)

  add_library(kvorum_shared SHARED $<TARGET_OBJECTS:kvorum_${face}>)
  target_link_libraries(kvorum_shared PRIVATE ${layers})
  target_link_options(kvorum_shared PRIVATE ${roots} -Wl,--as-needed ${KVORUM_LTO_LINK})
  set_target_properties(kvorum_shared PROPERTIES OUTPUT_NAME kvorum LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

  list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE files)
  set(archive ${CMAKE_BINARY_DIR}/libkvorum.a)
  set(object ${CMAKE_BINARY_DIR}/libkvorum.o)
  add_custom_command(OUTPUT ${archive} BYPRODUCTS ${object}
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib ${KVORUM_LTO_RELOCATE} -o ${object} ${roots}
      $<TARGET_OBJECTS:kvorum_${face}> -Wl,--start-group ${files} -Wl,--end-group
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_AR} rcs ${archive} ${object}
    DEPENDS kvorum_${face} ${layers} COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(kvorum_static ALL DEPENDS ${archive})
  add_custom_target(libkvorum DEPENDS kvorum_shared kvorum_static)
endfunction()
