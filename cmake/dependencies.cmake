# Third-party libraries, all from Debian (packaging/apt.txt).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

# llhttp comes as C sources.
set(LLHTTP_SOURCE /usr/share/llhttp CACHE PATH "folder of llhttp.c, api.c, http.c")
add_library(llhttp STATIC ${LLHTTP_SOURCE}/llhttp.c ${LLHTTP_SOURCE}/api.c ${LLHTTP_SOURCE}/http.c)
target_include_directories(llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
target_compile_options(llhttp PRIVATE -w)

set(KVORUM_LIBRARIES_base PkgConfig::XXHASH Threads::Threads)
set(KVORUM_LIBRARIES_codec PkgConfig::PROTOBUF_C)
set(KVORUM_LIBRARIES_engine PkgConfig::LZ4 PkgConfig::ZSTD)
set(KVORUM_LIBRARIES_server PkgConfig::UV PkgConfig::CRYPTO PkgConfig::JANSSON PkgConfig::INIH llhttp)
set(KVORUM_LIBRARIES_cli PkgConfig::JANSSON m)
