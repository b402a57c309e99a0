/* bytes.c - CRC-32 by slicing by 8: eight tables, so that a block of eight bytes needs
 * eight independent look-ups in place of a chain of eight dependent ones. */
#include "bytes.h"

/* 8 KiB of tables. 0xEDB88320 is the polynomial 0x04C11DB7 (IEEE 802.3) with its bits
 * reversed, because the CRC takes the least significant bit first. */
void nd_crc32_make(nd_crc32 *c) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t x = i;
    for (int bit = 0; bit < 8; bit++) x = x >> 1 ^ (x & 1 ? 0xEDB88320u : 0);
    c->table[0][i] = x;
  }
  /* table[k] is the CRC of a byte with k zero bytes after it */
  for (int k = 1; k < 8; k++)
    for (int i = 0; i < 256; i++) {
      const uint32_t x = c->table[k - 1][i];
      c->table[k][i] = x >> 8 ^ c->table[0][x & 255];
    }
}

/* O(n). Initial value and result are inverted, as in zlib, so that
 * zero bytes at the beginning change the CRC. */
uint32_t nd_crc32_of(const nd_crc32 *c, const uint8_t *p, size_t n) {
  uint32_t x = 0xFFFFFFFFu;
  for (; n >= 8; p += 8, n -= 8) {
    /* byte i of the block has 7 - i bytes after it, hence table[7 - i] */
    x ^= nd_get_le32(p);
    x = c->table[7][x & 255] ^ c->table[6][x >> 8 & 255] ^ c->table[5][x >> 16 & 255] ^
        c->table[4][x >> 24] ^ c->table[3][p[4]] ^ c->table[2][p[5]] ^ c->table[1][p[6]] ^
        c->table[0][p[7]];
  }
  /* the last 0..7 bytes, one at a time */
  for (; n > 0; p++, n--) x = x >> 8 ^ c->table[0][(x ^ *p) & 255];
  return ~x;
}
