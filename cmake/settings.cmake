# Compiler settings common to every target; presets choose the sanitizer and the optimisation.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON) # the layers are also in libkvorum.so
set(KVORUM_SANITIZE "" CACHE STRING "value of -fsanitize=, empty for none")
option(KVORUM_FUZZ "build *_fuzz.c with libFuzzer instead of the corpus replayer" OFF)
option(KVORUM_COVERAGE "instrument for coverage" OFF)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

# Assertions stay on in release: a broken invariant stops the process.
set(CMAKE_C_FLAGS_RELEASE "-O3 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
add_compile_definitions(_GNU_SOURCE KVORUM_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Werror=implicit-function-declaration
  -Werror=incompatible-pointer-types -Werror=int-conversion -Werror=unused-result -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -fvisibility=hidden)
# For sanitizers and debuggers alone: frame pointers cost a SET 3 % (docs/performance.md).
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release" OR KVORUM_SANITIZE)
  add_compile_options(-fno-omit-frame-pointer)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  add_compile_options(-march=x86-64-v2) # every processor since 2009: counting bits in one instruction
endif()

# What users run is optimised across files: the work of a request is spread over a hundred small functions.
# Layers carry both kinds of code (fat objects), so that the many test programs link as quickly as ever.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT KVORUM_SANITIZE)
  set(KVORUM_LTO_COMPILE -flto -ffat-lto-objects)
  set(KVORUM_LTO_LINK -flto=auto)
  set(KVORUM_LTO_RELOCATE -flto=auto -flinker-output=nolto-rel) # one object that is machine code
  set(KVORUM_LTO_NOT -fno-lto)
endif()
include_directories(${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})
if(KVORUM_SANITIZE)
  add_compile_options(-fsanitize=${KVORUM_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KVORUM_SANITIZE})
endif()
if(KVORUM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(KVORUM_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
