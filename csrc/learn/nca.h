/* nca.h - learns by which traits songs are near each other whose grooves
 * agree: a linear projection of the traits, found as neighbourhood components
 * (Goldberger et al. 2004). Each song looks for its groove among the others by
 * p(j) ~ exp(-squared distance); what is made large is the mean over songs of
 * the log of sum p(j) exp(8 agreement), by Adam, with most of the traits left
 * out at every step so that no few of them decide.
 *
 * Songs whose grooves agree nearly wholly are taken for versions of one song,
 * from which nothing is to be learnt.
 */
#ifndef ND_LEARN_NCA_H
#define ND_LEARN_NCA_H

#include "../play/styles.h"

/* Sets s->projection. With fewer than eight styles all stay as near. ND_NOMEM alone
 * can go wrong. */
nd_status nd_nca_learn(nd_styles *s, uint64_t seed, nd_error *err);

#endif
