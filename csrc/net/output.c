#include "output.h"

#include <math.h>
#include <string.h>

#include "blas.h"
#include "dense.h"
#include "kernels.h"
#include "packed.h"

/* Adds hits mix. Hits are sparse (about one voice in six), so rows of `mix` are added
 * only for the voices that are hit; below the diagonal there is nothing to add. */
static void add_mix(const nd_hits_head *head, int32_t rows, const float *hits, float *logits) {
  int32_t V = head->voices;
  if (head->mix == NULL) return;
  for (int32_t r = 0; r < rows; r++, hits += V, logits += V)
    for (int32_t u = 0; u < V; u++)
      if (hits[u] > 0.0f)
        for (int32_t v = u + 1; v < V; v++) logits[v] += head->mix[u * V + v];
}

void nd_hits_forward(const nd_hits_head *head, int32_t rows, const float *features,
                     const float *inputs, const float *hits, float *logits) {
  int32_t V = head->voices;
  nd_dense_forward(rows, head->features, V, features, head->w, head->b, logits);
  if (head->skip != NULL) nd_gemm(ND_N, ND_N, rows, V, head->inputs, inputs, head->skip, 1.0f, logits);
  add_mix(head, rows, hits, logits);
}

int64_t nd_hits_count(int32_t rows, int32_t voices, const float *mask) {
  int64_t counted = 0;
  for (size_t i = 0; i < (size_t)rows * (size_t)voices; i++) counted += mask[i] > 0.0f;
  return counted;
}

void nd_hits_loss(int32_t rows, int32_t voices, const float *hits, const float *mask,
                  float *logits, float scale, double *sums) {
  for (int32_t r = 0; r < rows; r++, hits += voices, mask += voices, logits += voices) {
    double sum = 0;
    for (int32_t v = 0; v < voices; v++) {
      float z = logits[v], e = expf(-fabsf(z));
      bool counts = mask[v] > 0.0f;
      /* -y ln s(z) - (1 - y) ln(1 - s(z)) = max(z, 0) - z y + ln(1 + e^-|z|), where s is
       * the sigmoid: this form does not overflow for any z */
      if (counts) sum += (double)((z > 0.0f ? z : 0.0f) - z * hits[v] + log1pf(e));
      /* its derivative is s(z) - y */
      if (scale > 0.0f)
        logits[v] = counts ? ((z >= 0.0f ? 1.0f : e) / (1.0f + e) - hits[v]) * scale : 0.0f;
    }
    sums[r] = sum;
  }
}

/* Bounds of the logarithms of deviations: below, a few exact hits would dominate the
 * loss; above, nothing is learnt. */
static const float min_log = -5.0f, max_log = 1.0f;

float nd_touch_deviation(float logarithm) {
  return expf(fminf(fmaxf(logarithm, min_log), max_log));
}

/* -ln N(y; mean, e^s) = s + z^2 / 2 + ln(2 pi) / 2 with z = (y - mean) / e^s, where s is
 * *log within its bounds. With `gradient`, *mean and *log become its derivatives:
 * d/dmean = -z / e^s, d/ds = 1 - z^2. */
static double normal_loss(float y, float *mean, float *log, bool gradient, float scale) {
  float s = fminf(fmaxf(*log, min_log), max_log), z = (y - *mean) * expf(-s);
  bool inside = *log > min_log && *log < max_log;
  if (gradient) {
    *mean = -z * expf(-s) * scale;
    /* at a bound, only a gradient that leads back inside passes: at the lower one, that
     * asks for a larger deviation (z^2 > 1) */
    *log = inside || (*log <= min_log) == (z * z > 1.0f) ? (1.0f - z * z) * scale : 0.0f;
  }
  return (double)(s + 0.5f * z * z + 0.918938533f);
}

void nd_touch_loss(int32_t rows, int32_t voices, const float *y, const float *mask, float *out,
                   float scale, double *sums) {
  size_t V = (size_t)voices;
  bool gradient = scale > 0.0f;
  for (size_t r = 0; r < (size_t)rows; r++) {
    sums[r] = 0;
    for (size_t v = 0; v < V; v++) {
      float *o = out + r * ND_TOUCH_OUTPUTS * V + v;
      const float *target = y + r * ND_TOUCH_TARGETS * V + v;
      if (mask[r * V + v] > 0.0f) {
        sums[r] += normal_loss(target[0], &o[0], &o[V], gradient, scale);
        sums[r] += normal_loss(target[V], &o[2 * V], &o[3 * V], gradient, scale);
      } else if (gradient) {
        o[0] = o[V] = o[2 * V] = o[3 * V] = 0.0f;
      }
    }
  }
}

/* ------------------------------------------------------------------- training
 * The packed block holds w, then its transpose, then skip. */

size_t nd_hits_packed_size(const nd_hits_head *head) {
  return nd_packed_size(head->features, head->voices) + nd_packed_size(head->voices, head->features) +
         (head->skip != NULL ? nd_packed_size(head->inputs, head->voices) : 0);
}

static size_t transpose_at(const nd_hits_head *h) { return nd_packed_size(h->features, h->voices); }

static size_t skip_at(const nd_hits_head *h) {
  return transpose_at(h) + nd_packed_size(h->voices, h->features);
}

void nd_hits_pack(const nd_hits_head *h, float *packed) {
  if (nd_packed_width() == 0) return;
  int32_t F = h->features, V = h->voices;
  nd_pack(ND_N, F, V, h->w, 0, V, packed);
  nd_pack(ND_T, V, F, h->w, 0, F, packed + transpose_at(h));
  if (h->skip != NULL) nd_pack(ND_N, h->inputs, V, h->skip, 0, V, packed + skip_at(h));
}

void nd_hits_forward_blocks(const nd_hits_head *h, const float *packed, int32_t times,
                            int32_t next, int32_t rows, const float *features,
                            const float *inputs, const float *hits, float *logits) {
  if (nd_packed_width() == 0) {
    nd_hits_forward(h, times * rows, features, inputs, hits, logits);
    return;
  }
  size_t V = (size_t)h->voices, F = (size_t)h->features, I = (size_t)h->inputs, step = (size_t)next;
  for (size_t t = 0; t < (size_t)times; t++)
    for (size_t r = 0; r < (size_t)rows; r++)
      memcpy(logits + (t * step + r) * V, h->b, V * sizeof *logits);
  nd_packed_blocks(times, step * F, step * V, rows, h->voices, h->features, features, packed, true,
                   logits);
  if (h->skip != NULL)
    nd_packed_blocks(times, step * I, step * V, rows, h->voices, h->inputs, inputs,
                     packed + skip_at(h), true, logits);
  for (size_t t = 0; t < (size_t)times; t++)
    add_mix(h, rows, hits + t * step * V, logits + t * step * V);
}

void nd_hits_backward_blocks(const nd_hits_head *h, const float *packed, int32_t times,
                             int32_t next, int32_t rows, const float *dlogits, float *dfeatures) {
  size_t V = (size_t)h->voices, F = (size_t)h->features, step = (size_t)next;
  if (nd_packed_width() == 0)
    nd_gemm(ND_N, ND_T, times * rows, h->features, h->voices, dlogits, h->w, 0.0f, dfeatures);
  else
    nd_packed_blocks(times, step * V, step * F, rows, h->features, h->voices, dlogits,
                     packed + transpose_at(h), false, dfeatures);
}

void nd_hits_gradient(const nd_hits_head *h, int32_t rows, const float *features,
                      const float *inputs, const float *hits, const float *dlogits, float *dw,
                      float *db, float *dskip, float *dmix) {
  int32_t V = h->voices, I = h->skip != NULL ? h->inputs : 0;
  if (nd_packed_width() > 0) {
    nd_packed_gradient(rows, I, h->features, V, 0, V, inputs, features, dlogits, dskip, dw, db);
  } else {
    nd_gemm(ND_T, ND_N, h->features, V, rows, features, dlogits, 0.0f, dw);
    if (I > 0) nd_gemm(ND_T, ND_N, I, V, rows, inputs, dlogits, 0.0f, dskip);
    memset(db, 0, (size_t)V * sizeof *db);
    nd_sum_rows(rows, V, dlogits, db);
  }
  if (h->mix == NULL) return;
  for (int32_t r = 0; r < rows; r++, hits += V, dlogits += V)
    for (int32_t u = 0; u < V; u++)
      if (hits[u] > 0.0f)
        for (int32_t v = u + 1; v < V; v++) dmix[u * V + v] += dlogits[v];
}
