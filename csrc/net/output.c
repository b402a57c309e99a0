/* output.c - the output layer's products and losses.
 *
 * The losses are fused with their gradients: the sigmoid of a logit serves both, and
 * the gradient overwrites the logits, which are not needed after it. */
#include "output.h"

#include <math.h>
#include <string.h>

#include "blas.h"
#include "gemm.h"
#include "kernels.h"

/* Adds hits mix: the rows of `mix` whose voices are hit, which are few. Below the
 * diagonal there is nothing to add. */
static void add_mix(const nd_hits_head *head, int32_t rows, const float *hits, float *logits) {
  int32_t V = head->voices;
  for (int32_t r = 0; r < rows; r++, hits += V, logits += V)
    for (int32_t u = 0; u < V; u++)
      if (hits[u] > 0.0f)
        for (int32_t v = u + 1; v < V; v++) logits[v] += head->mix[u * V + v];
}

/* The mean loss divides by this, so a cell that the mask excludes changes nothing. */
int64_t nd_hits_count(int32_t rows, int32_t voices, const float *mask) {
  int64_t counted = 0;
  for (size_t i = 0; i < (size_t)rows * (size_t)voices; i++) counted += mask[i] > 0.0f;
  return counted;
}

/* Sums by row, in double precision, are added up in order by the caller: the total then
 * does not depend on which thread had which row. */
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

/* Two independent normal distributions a hit: velocity and offset. */
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

/* ------------------------------------------------------------------- products
 * In the panels' memory lie w, then its transpose, then skip. */

/* (F, V): features to logits. */
static nd_matrix weights(const nd_hits_head *h, float *panels) {
  return nd_matrix_view(ND_N, h->features, h->voices, h->w, panels);
}

/* (V, F): the gradient of the logits to that of the features. */
static nd_matrix transpose(const nd_hits_head *h, float *panels) {
  panels += nd_panels_size(h->features, h->voices);
  return nd_matrix_view(ND_T, h->voices, h->features, h->w, panels);
}

/* (I, V): the step's inputs to logits. */
static nd_matrix skip(const nd_hits_head *h, float *panels) {
  if (panels != NULL)
    panels += nd_panels_size(h->features, h->voices) + nd_panels_size(h->voices, h->features);
  return nd_matrix_view(ND_N, h->inputs, h->voices, h->skip, panels);
}

size_t nd_hits_panels_size(const nd_hits_head *h) {
  return nd_panels_size(h->features, h->voices) + nd_panels_size(h->voices, h->features) +
         (h->skip != NULL ? nd_panels_size(h->inputs, h->voices) : 0);
}

/* Weights change at every training step, so they are packed anew for each. */
void nd_hits_pack(const nd_hits_head *h, float *panels) {
  nd_matrix w = weights(h, panels), t = transpose(h, panels), s = skip(h, panels);
  nd_matrix_fill(&w, 0, 1);
  nd_matrix_fill(&t, 0, 1);
  if (h->skip != NULL) nd_matrix_fill(&s, 0, 1);
}

/* The bias is copied to each row first; the products are then added to it. */
void nd_hits_forward(const nd_hits_head *h, float *panels, int32_t times, int32_t next,
                     int32_t rows, const float *features, const float *inputs, const float *hits,
                     float *logits) {
  size_t V = (size_t)h->voices, F = (size_t)h->features, I = (size_t)h->inputs, step = (size_t)next;
  nd_matrix w = weights(h, panels), s = skip(h, panels);
  for (size_t t = 0; t < (size_t)times; t++)
    for (size_t r = 0; r < (size_t)rows; r++)
      memcpy(logits + (t * step + r) * V, h->b, V * sizeof *logits);
  nd_matmul_blocks(&w, times, step * F, step * V, rows, features, true, logits);
  if (h->skip != NULL) nd_matmul_blocks(&s, times, step * I, step * V, rows, inputs, true, logits);
  for (size_t t = 0; h->mix != NULL && t < (size_t)times; t++)
    add_mix(h, rows, hits + t * step * V, logits + t * step * V);
}

/* dfeatures = dlogits w^T. Inputs and hits are data and need no gradient. */
void nd_hits_backward(const nd_hits_head *h, float *panels, int32_t times, int32_t next,
                      int32_t rows, const float *dlogits, float *dfeatures) {
  size_t V = (size_t)h->voices, F = (size_t)h->features, step = (size_t)next;
  nd_matrix t = transpose(h, panels);
  nd_matmul_blocks(&t, times, step * V, step * F, rows, dlogits, false, dfeatures);
}

/* dw = features^T dlogits, dskip = inputs^T dlogits, db = sum of dlogits by columns. dmix
 * is hits^T dlogits above the diagonal, again only where there are hits. */
void nd_hits_gradient(const nd_hits_head *h, int32_t rows, const float *features,
                      const float *inputs, const float *hits, const float *dlogits, float *dw,
                      float *db, float *dskip, float *dmix) {
  int32_t V = h->voices, I = h->skip != NULL ? h->inputs : 0;
  nd_matmul_gradient(rows, I, h->features, V, 0, 1, inputs, features, dlogits, dskip, dw, db);
  if (h->mix == NULL) return;
  for (int32_t r = 0; r < rows; r++, hits += V, dlogits += V)
    for (int32_t u = 0; u < V; u++)
      if (hits[u] > 0.0f)
        for (int32_t v = u + 1; v < V; v++) dmix[u * V + v] += dlogits[v];
}
