#include "bytes.h"

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

uint32_t nd_crc32_of(const nd_crc32 *c, const uint8_t *p, size_t n) {
  uint32_t x = 0xFFFFFFFFu;
  for (; n >= 8; p += 8, n -= 8) {
    x ^= nd_get_le32(p);
    x = c->table[7][x & 255] ^ c->table[6][x >> 8 & 255] ^ c->table[5][x >> 16 & 255] ^
        c->table[4][x >> 24] ^ c->table[3][p[4]] ^ c->table[2][p[5]] ^ c->table[1][p[6]] ^
        c->table[0][p[7]];
  }
  for (; n > 0; p++, n--) x = x >> 8 ^ c->table[0][(x ^ *p) & 255];
  return ~x;
}
