#include "heads.h"

#include <math.h>
#include <string.h>

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

double nd_hits_loss(int32_t rows, int32_t voices, const float *hits, const float *mask,
                    float *logits, bool gradient, int64_t *count) {
  double sum = 0;
  int64_t counted = 0;
  for (int32_t r = 0; r < rows; r++) counted += mask[r] > 0.0f ? voices : 0;
  float scale = counted > 0 ? 1.0f / (float)counted : 0.0f;
  for (int32_t r = 0; r < rows; r++) {
    float *z = logits + (size_t)r * (size_t)voices;
    const float *y = hits + (size_t)r * (size_t)voices;
    if (!(mask[r] > 0.0f)) {
      if (gradient) memset(z, 0, (size_t)voices * sizeof *z);
      continue;
    }
    for (int32_t v = 0; v < voices; v++) {
      float e = expf(-fabsf(z[v]));
      /* max(z, 0) - z y + ln(1 + e^-|z|): no overflow for any z */
      sum += (double)((z[v] > 0.0f ? z[v] : 0.0f) - z[v] * y[v] + log1pf(e));
      if (gradient) z[v] = ((z[v] >= 0.0f ? 1.0f : e) / (1.0f + e) - y[v]) * scale;
    }
  }
  *count = counted;
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
