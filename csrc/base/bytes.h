/* bytes.h - integers as bytes, and CRC-32, for file formats: MIDI is big-endian,
 * corpora and checkpoints are little-endian. Independent of the machine's own
 * byte order and of alignment. The caller has checked that the bytes exist. */
#ifndef ND_BYTES_H
#define ND_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t nd_get_be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint16_t nd_get_le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t nd_get_le32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t nd_get_le64(const uint8_t *p) {
  return nd_get_le32(p) | (uint64_t)nd_get_le32(p + 4) << 32;
}

/* The low `n` bytes of x, most significant first. */
static inline void nd_put_be(uint8_t *p, uint32_t x, size_t n) {
  for (; n-- > 0; x >>= 8) p[n] = (uint8_t)x;
}
static inline void nd_put_le32(uint8_t *p, uint32_t x) {
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> 8 * i);
}
static inline void nd_put_le64(uint8_t *p, uint64_t x) {
  nd_put_le32(p, (uint32_t)x);
  nd_put_le32(p + 4, (uint32_t)(x >> 32));
}

/* CRC-32 with zlib's polynomial, eight bytes at a time ("slicing by 8": Kounavis
 * and Berry 2005, "A Systematic Approach to Building High Performance,
 * Software-based, CRC Generators"). The tables belong to the caller, because the
 * engine has no globals; make fills them. */
typedef struct nd_crc32 { uint32_t table[8][256]; } nd_crc32;

void nd_crc32_make(nd_crc32 *crc);
uint32_t nd_crc32_of(const nd_crc32 *crc, const uint8_t *bytes, size_t n);

#endif
