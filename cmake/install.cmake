# What `make install` puts below PREFIX.  Always lib/, wherever a distribution keeps its own: the
# pkg-config file finds the rest from where it lies.
configure_file(packaging/kvorum.pc.in kvorum.pc @ONLY)
install(TARGETS kvorum RUNTIME DESTINATION bin)
install(TARGETS kvorum_shared LIBRARY DESTINATION lib)
install(FILES ${CMAKE_BINARY_DIR}/libkvorum.a DESTINATION lib)
install(FILES include/kvorum/kvorum.h include/kvorum/status.h DESTINATION include/kvorum)
install(FILES ${CMAKE_BINARY_DIR}/kvorum.pc DESTINATION lib/pkgconfig)
install(FILES docs/man/kvorum.1 DESTINATION share/man/man1)
install(FILES docs/man/libkvorum.3 DESTINATION share/man/man3)
