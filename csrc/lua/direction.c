/* direction.c - see direction.h. */
#include "direction.h"

#include <math.h>
#include <string.h>

/* The number of one of the model's styles, from 1. */
static int32_t check_index(lua_State *L, int at, const nd_styles *s) {
  lua_Integer i = luaL_checkinteger(L, at);
  if (i < 1 || i > s->n)
    luaL_error(L, "option 'style': there is no style %I: the model has %d", (LUAI_UACINT)i, s->n);
  return (int32_t)i;
}

/* A list of the traits, or of the traits and the groove. Without a groove the model is
 * given the traits alone: ND_NO_GROOVE marks that. */
static void read_style_numbers(lua_State *L, int at, const nd_kit *kit, float *style) {
  int32_t size = nd_style_size(kit->n_voices), traits = nd_style_traits(kit->n_voices);
  int32_t n = (int32_t)lua_rawlen(L, at);
  if (n != size && n != traits)
    luaL_error(L, "option 'style': %d numbers are needed, or %d with a groove", traits, size);
  for (int32_t k = n; k < size; k++) style[k] = ND_NO_GROOVE;
  for (int32_t k = 0; k < n; k++) {
    double v = lua_rawgeti(L, at, k + 1) == LUA_TNUMBER ? lua_tonumber(L, -1) : (double)NAN;
    if (!(v >= 0.0 && v <= 1.0)) luaL_error(L, "option 'style': number %d is not in 0..1", k + 1);
    style[k] = (float)v;
    lua_pop(L, 1);
  }
}

const float *lnd_read_style(lua_State *L, int at, const nd_drummer *d, float *style) {
  const nd_kit *kit = &d->tokeniser.kit;
  const size_t size = (size_t)nd_style_size(kit->n_voices);
  if (lua_isnil(L, at) || (lua_isboolean(L, at) && !lua_toboolean(L, at))) return NULL;
  if (lua_type(L, at) == LUA_TNUMBER) {
    const int32_t i = check_index(L, at, &d->styles);
    memcpy(style, d->styles.style + (size_t)(i - 1) * size, size * sizeof *style);
  } else if (lua_istable(L, at)) {
    read_style_numbers(L, at, kit, style);
  } else {
    const nd_sequence *of = lnd_check(L, at, &lnd_sequence);
    if (!nd_kit_equal(&of->settings.kit, kit))
      luaL_error(L, "option 'style': the sequence has another kit than the model");
    (void)nd_style_measure(of, NULL, style);
  }
  return style;
}

/* A style's index goes to the engine as such, and not as the style's numbers: the
 * performance can then report which style it was. */
void lnd_read_style_choice(lua_State *L, int at, const nd_drummer *d, float *style,
                           nd_direction *out) {
  out->no_style = lua_isboolean(L, at) && !lua_toboolean(L, at);
  if (lua_type(L, at) == LUA_TNUMBER) out->style_number = check_index(L, at, &d->styles);
  else out->style = lnd_read_style(L, at, d, style);
}

/* The string is copied because a pause may remove the only reference to it. */
const uint8_t *lnd_opt_mask(lua_State *L, int arg, lnd_job *job, const nd_sequence *seq) {
  const size_t cells = (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq);
  size_t n = 0;
  const int type = lnd_opt(L, arg, "mask");                         /* mask */
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING)
    luaL_error(L, "option 'mask': a string is needed, got %s", luaL_typename(L, -1));
  const char *bytes = lua_tolstring(L, -1, &n);
  if (n != cells)
    luaL_error(L, "option 'mask': %I bytes are needed, got %I", (LUAI_UACINT)cells, (LUAI_UACINT)n);
  return memcpy(lnd_job_alloc(L, job, n), bytes, n);
}

/* `fixed`, a Sequence of the song's length, and `mask`: without a mask all of it. */
static void read_fixed(lua_State *L, int arg, lnd_job *job, const nd_sequence *song,
                       nd_direction *out) {
  const size_t cells = (size_t)nd_sequence_steps(song) * (size_t)nd_sequence_voices(song);
  if (lnd_opt(L, arg, "fixed") == LUA_TNIL) {
    if (lnd_opt(L, arg, "mask") != LUA_TNIL)
      luaL_error(L, "option 'mask': it needs the option 'fixed'");
    return;
  }
  const nd_sequence *fixed = lnd_job_retain(L, job, lua_gettop(L), &lnd_sequence);
  if (nd_sequence_steps(fixed) != nd_sequence_steps(song))
    luaL_error(L, "option 'fixed': it has %d steps, the song %d", (int)nd_sequence_steps(fixed),
               (int)nd_sequence_steps(song));
  if (!nd_kit_equal(&fixed->settings.kit, &song->settings.kit))
    luaL_error(L, "option 'fixed': it has another kit than the song");
  out->fixed = fixed;
  out->fixed_mask = lnd_opt_mask(L, arg, job, song);
  if (out->fixed_mask == NULL) out->fixed_mask = memset(lnd_job_alloc(L, job, cells), 1, cells);
}

/* A value for each bar: numbers in -3..3, or booleans as 0 and 1; NAN where the table
 * has nil, or false among numbers. NULL when the option is not given. */
static const float *read_bars(lua_State *L, int arg, const char *key, lnd_job *job, int32_t n_bars,
                              bool flags) {
  if (lnd_opt(L, arg, key) == LUA_TNIL) return NULL;
  const int at = lua_gettop(L);
  if (!lua_istable(L, at)) luaL_error(L, "option '%s': a table of bars is needed", key);
  float *out = lnd_job_alloc(L, job, (size_t)n_bars * sizeof *out);
  for (int32_t b = 0; b < n_bars; b++) {
    const int type = lua_rawgeti(L, at, b + 1);
    const bool yes = lua_toboolean(L, -1);
    out[b] = NAN;
    if (flags && type == LUA_TBOOLEAN) {
      out[b] = yes ? 1.0f : 0.0f;
    } else if (!flags && type == LUA_TNUMBER) {
      double v = lua_tonumber(L, -1);
      if (!(v >= -3.0 && v <= 3.0))
        luaL_error(L, "option '%s': bar %d: %f is not in -3..3", key, b + 1, v);
      out[b] = (float)v;
    } else if (yes || (type != LUA_TNIL && type != LUA_TBOOLEAN)) {
      luaL_error(L, "option '%s': bar %d is a %s", key, b + 1, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
  }
  return out;
}

void lnd_read_direction(lua_State *L, int at, lnd_job *job, const nd_drummer *d,
                        const nd_sequence *song, nd_direction *out) {
  static const char *const names[] = {"fixed", "mask", "style", "density", "fills", NULL};
  lnd_opts(L, at, names);
  if (lua_isnoneornil(L, at)) return;
  const int top = lua_gettop(L);
  read_fixed(L, at, job, song, out);
  (void)lnd_opt(L, at, "style");                                    /* …,style */
  float *style = lnd_job_alloc(L, job, ND_MAX_STYLE_SIZE * sizeof *style);
  lnd_read_style_choice(L, lua_gettop(L), d, style, out);
  out->density = read_bars(L, at, "density", job, song->grid.n_bars, false);
  out->fill = read_bars(L, at, "fills", job, song->grid.n_bars, true);
  lua_settop(L, top);
}
