#include "heads.h"

#include <math.h>

#include "blas.h"
#include "dense.h"

void nd_hits_forward(const nd_hits_head *head, int32_t rows, const float *features,
                     const float *inputs, const float *hits, float *logits) {
  int32_t V = head->voices;
  nd_dense_forward(rows, head->features, V, features, head->w, head->b, logits);
  if (head->skip != NULL) nd_gemm(ND_N, ND_N, rows, V, head->inputs, inputs, head->skip, 1.0f, logits);
  if (head->mix == NULL) return;
  for (int32_t r = 0; r < rows; r++) {
    const float *y = hits + (size_t)r * (size_t)V;
    float *z = logits + (size_t)r * (size_t)V;
    for (int32_t u = 0; u < V; u++)
      if (y[u] > 0.0f)
        for (int32_t v = u + 1; v < V; v++) z[v] += head->mix[u * V + v];
  }
}

int64_t nd_hits_count(int32_t rows, int32_t voices, const float *mask) {
  size_t n = (size_t)rows * (size_t)voices;
  int64_t counted = 0;
  for (size_t i = 0; i < n; i++) counted += mask[i] > 0.0f;
  return counted;
}

double nd_hits_loss(int32_t rows, int32_t voices, const float *hits, const float *mask,
                    float *logits, float scale) {
  size_t n = (size_t)rows * (size_t)voices;
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    float z = logits[i], e = expf(-fabsf(z));
    bool counts = mask[i] > 0.0f;
    /* max(z, 0) - z y + ln(1 + e^-|z|): no overflow for any z */
    if (counts) sum += (double)((z > 0.0f ? z : 0.0f) - z * hits[i] + log1pf(e));
    if (scale > 0.0f)
      logits[i] = counts ? ((z >= 0.0f ? 1.0f : e) / (1.0f + e) - hits[i]) * scale : 0.0f;
  }
  return sum;
}

static const float least_log = -5.0f, most_log = 1.0f;

float nd_touch_deviation(float logarithm) {
  return expf(fminf(fmaxf(logarithm, least_log), most_log));
}

/* One value under one normal; `mean` and `log` become gradients. */
static double normal_loss(float y, float *mean, float *log, float scale) {
  float s = fminf(fmaxf(*log, least_log), most_log), z = (y - *mean) * expf(-s);
  bool free = *log > least_log && *log < most_log;  /* a clamped one stays where it is pushed */
  if (scale > 0.0f) {
    *mean = -z * expf(-s) * scale;
    *log = free || (*log <= least_log) == (z * z > 1.0f) ? (1.0f - z * z) * scale : 0.0f;
  }
  return (double)(s + 0.5f * z * z + 0.918938533f);
}

double nd_touch_loss(int32_t rows, int32_t voices, const float *y, const float *mask, float *out,
                     float scale) {
  size_t V = (size_t)voices;
  double sum = 0;
  for (size_t r = 0; r < (size_t)rows; r++)
    for (size_t v = 0; v < V; v++) {
      float *o = out + r * ND_TOUCH_OUTPUTS * V + v;
      const float *target = y + r * ND_TOUCH_TARGETS * V + v;
      if (mask[r * V + v] > 0.0f) {
        sum += normal_loss(target[0], &o[0], &o[V], scale);
        sum += normal_loss(target[V], &o[2 * V], &o[3 * V], scale);
      } else if (scale > 0.0f) {
        o[0] = o[V] = o[2 * V] = o[3 * V] = 0.0f;
      }
    }
  return sum;
}

void nd_hits_backward(const nd_hits_head *head, int32_t rows, const float *features,
                      const float *inputs, const float *hits, const float *dlogits, float *dw,
                      float *db, float *dskip, float *dmix, float *dfeatures) {
  int32_t V = head->voices;
  nd_dense_backward(rows, head->features, V, features, head->w, dlogits, dw, db, dfeatures);
  if (head->skip != NULL) nd_gemm(ND_T, ND_N, head->inputs, V, rows, inputs, dlogits, 1.0f, dskip);
  if (head->mix == NULL) return;
  for (int32_t r = 0; r < rows; r++) {
    const float *y = hits + (size_t)r * (size_t)V, *d = dlogits + (size_t)r * (size_t)V;
    for (int32_t u = 0; u < V; u++)
      if (y[u] > 0.0f)
        for (int32_t v = u + 1; v < V; v++) dmix[u * V + v] += d[v];
  }
}
