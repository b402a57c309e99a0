/* head_plan.h - what stands between the LSTM and the hits, as a list: for playing
 * (net.c) and for training (trainer.c). Not for others. */
#ifndef ND_NET_HEAD_PLAN_H
#define ND_NET_HEAD_PLAN_H

#include "net.h"

typedef enum nd_head_kind { ND_HEAD_DROP, ND_HEAD_NORM, ND_HEAD_DENSE } nd_head_kind;

typedef struct nd_head_op {
  nd_head_kind kind;
  int32_t in, out;   /* widths; equal but for ND_HEAD_DENSE */
  int32_t number;    /* of its kind, from 1: "dense.2" */
} nd_head_op;

enum { ND_MAX_HEAD_OPS = 2 * ND_MAX_DENSE + 3 };

/* Fills ops and returns their number. The widest of what goes through them. */
int32_t nd_head_plan(const nd_net_config *c, nd_head_op *ops);
int32_t nd_head_widest(const nd_net_config *c);

#endif
