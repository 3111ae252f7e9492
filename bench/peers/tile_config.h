/* Included before every C++ source of llama.cpp, so that its AMX code runs when GCC compiles it.

   GCC 12 says of `_tile_loadconfig` that it reads 8 bytes. It reads 64, and what llama.cpp writes
   into the other 56 is optimised away: the first product with tiles ends in a segmentation fault
   (llama.cpp's issue 20824). Its tile loads do not say that they read memory either. */
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) \
    __asm__ volatile("ldtilecfg\t%X0" ::"m"(*(const char(*)[64])(config)))
#undef _tile_loadd
#define _tile_loadd(tile, base, stride) _tile_loadd_after_stores(tile, base, stride)
#define _tile_loadd_after_stores(tile, base, stride) \
    __asm__ volatile("tileloadd\t(%0,%1,1), %%tmm" #tile \
                     ::"r"((const void *)(base)), "r"((long)(stride)) : "memory")
#endif
