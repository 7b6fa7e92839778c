/* SPDX-License-Identifier: Apache-2.0 */
/** Tell AddressSanitizer which bytes of our own blocks are not to be touched; nothing elsewhere.
 *  Shadow memory has 8-byte grains: the start of a region must be 8-aligned to be exact. */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ACTIVE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ACTIVE 1
#endif
#endif

#ifdef POISON_ACTIVE
#include <sanitizer/asan_interface.h>
#define POISON_BYTES(data, size) __asan_poison_memory_region((data), (size))
#define UNPOISON_BYTES(data, size) __asan_unpoison_memory_region((data), (size))
#else
#define POISON_BYTES(data, size) ((void)(data), (void)(size))
#define UNPOISON_BYTES(data, size) ((void)(data), (void)(size))
#endif

#endif
