/* nca.h - neighbourhood components analysis (Goldberger, Roweis, Hinton and
 * Salakhutdinov 2004): learns a linear projection of song traits under which
 * songs with similar grooves lie close together.
 *
 * After projection, song i picks a neighbour j with probability
 * p_ij = softmax_j(-|z_i - z_j|^2). Training maximises the mean over songs of
 * log sum_j p_ij exp(8 agreement_ij) with Adam. The paper's labels are replaced
 * by the agreement of two grooves, which is graded. 70 % of the traits are
 * dropped at each step, so that a few traits cannot decide alone.
 *
 * Two songs whose grooves agree almost completely are taken for versions of
 * one song. Such pairs are left out: they would teach nothing but to recognise
 * the version.
 */
#ifndef ND_LEARN_NCA_H
#define ND_LEARN_NCA_H

#include "../play/styles.h"

/* Sets styles->projection (ND_SONG_TRAITS, ND_STYLES_PROJECTED) from the songs
 * and grooves that `styles` holds. The same seed gives the same projection.
 * With fewer than eight styles, or if training diverges, the projection stays
 * as it was (zeros make all songs equally near). Fails with ND_NOMEM only. */
nd_status nd_nca_learn(nd_styles *styles, uint64_t seed, nd_error *err);

#endif
