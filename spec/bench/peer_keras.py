#!/usr/bin/env python3
"""The same networks in Keras on TensorFlow, on the CPU, for spec/bench/run.lua.

    peer_keras.py train   KEY=VALUE…  training steps a second
    peer_keras.py window  KEY=VALUE…  microseconds a generated step, the window
                                      being run again for each, as the 2023
                                      system plays, as a compiled function
    peer_keras.py predict KEY=VALUE…  the same by model.predict

Keys as of peer_torch.py, answers as peer.py says. A step of training is one
tf.function: forward, backward, clip, Adam. It is tried with XLA (jit_compile)
and without, short windows also with their steps unrolled, and done in the way
that is the fastest.
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy
import tensorflow as tf
from keras import layers

import peer


def lstm(o, units, unroll, **more):
    return layers.LSTM(units, unroll=unroll, **more)


class Drummer(keras.Model):
    """x (B, T, I), hits (B, T, V) and the state to logits (B, T, V) and the state."""

    def __init__(self, o, unroll):
        super().__init__()
        self.encoded = o["encoded"]
        if self.encoded:
            self.encoder = layers.Bidirectional(
                lstm(o, o["encoder"], unroll, return_sequences=True))
        self.stack = [lstm(o, o["hidden"], unroll, return_sequences=True, return_state=True)
                      for _ in range(o["layers"])]
        self.drop = layers.Dropout(o["dropout"])
        self.out = layers.Dense(o["voices"])
        self.skip = layers.Dense(o["voices"], use_bias=False)
        self.mix = self.add_weight(shape=(o["voices"], o["voices"]), name="mix")
        self.upper = tf.constant(numpy.triu(numpy.ones((o["voices"],) * 2, "float32"), 1))

    def call(self, x, hits, state, training=False):
        h = x
        if self.encoded:
            read = self.drop(self.encoder(x[..., :self.encoded]), training=training)
            h = tf.concat((read, x[..., self.encoded:]), -1)
        after = []
        for layer, before in zip(self.stack, state):
            h, *s = layer(h, initial_state=before, training=training)
            after.append(s)
            h = self.drop(h, training=training)
        # the steps of all streams as the rows of one product
        logits = self.out(h) + self.skip(x) + tf.matmul(hits, self.mix * self.upper)
        return logits, after


def original(o, unroll):
    """The 2023 system's, its sigmoid left to the loss."""
    p, h = o["dropout"], o["hidden"]
    body = [keras.Input((o["window"], o["inputs"]))]
    for i in range(o["layers"]):
        body.append(lstm(o, h, unroll, return_sequences=i + 1 < o["layers"]))
    return keras.Sequential(body + [
        layers.Dropout(p), layers.BatchNormalization(), layers.Dense(256), layers.Dropout(p),
        layers.Dense(128), layers.Dropout(p), layers.BatchNormalization(),
        layers.Dense(o["voices"])])


def train(o):
    t, b = o["steps"], o["batch"]
    is_original = o["preset"] == "neuraldrummer2023"
    x = tf.random.uniform((b, t, o["inputs"]))
    y = tf.cast(tf.random.uniform((b,) + (() if is_original else (t,)) + (o["voices"],)) < .1,
                tf.float32)

    def way(jit, unroll):
        adam = keras.optimizers.Adam(1e-3)
        state = [] if is_original else [[tf.zeros((b, o["hidden"]))] * 2
                                        for _ in range(o["layers"])]
        net = original(o, unroll) if is_original else Drummer(o, unroll)
        if not is_original:
            net(x, y, state)
        weights = net.trainable_variables
        adam.build(weights)

        @tf.function(jit_compile=jit)
        def learn(x, y, state):
            with tf.GradientTape() as tape:
                if is_original:
                    logits, after = net(x, training=True), state
                else:
                    logits, after = net(x, y, state, training=True)
                loss = tf.reduce_mean(
                    tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits))
            slopes = tape.gradient(loss, weights)
            if not is_original:
                slopes, _ = tf.clip_by_global_norm(slopes, 1.0)
            adam.apply(slopes, weights)
            return loss, after

        def step():
            nonlocal state
            loss, state = learn(x, y, state)
            return float(loss)
        return step

    ways = [("XLA", lambda: way(True, False)), ("no XLA", lambda: way(False, False))]
    if t <= 16:
        ways += [("XLA, unrolled", lambda: way(True, True)),
                 ("no XLA, unrolled", lambda: way(False, True))]
    return ways


class Playing(keras.Model):
    """What plays a step of a window (1, W, I)."""

    def __init__(self, o, unroll):
        super().__init__()
        self.is_original = o["preset"] == "neuraldrummer2023"
        self.net = original(o, unroll) if self.is_original else Drummer(o, unroll)
        self.hidden, self.layers_ = o["hidden"], o["layers"]

    def call(self, x, hits, training=False):
        if self.is_original:
            return tf.sigmoid(self.net(x, training=False))
        h = x
        for layer in self.net.stack:
            h, *_ = layer(h)
        return tf.sigmoid(self.net.out(h[:, -1]) + self.net.skip(x[:, -1])
                          + tf.matmul(hits, self.net.mix * self.net.upper))


def window(o):
    """The window slid on by the step that was played, all within one function."""
    voices, inputs = o["voices"], o["inputs"]
    first = numpy.random.rand(1, o["window"], inputs).astype("float32")

    def way(jit, unroll):
        net = Playing(o, unroll)
        song = tf.random.uniform((1, 1, inputs - voices))
        x, hits = tf.constant(first), tf.zeros((1, voices))
        net(x, hits)

        @tf.function(jit_compile=jit)
        def play(x, hits):
            hits = tf.cast(net(x, hits, training=False) >= .2, tf.float32)
            return tf.concat((x[:, 1:], tf.concat((hits[:, None], song), -1)), 1), hits

        def step():
            nonlocal x, hits
            x, hits = play(x, hits)
            return hits.numpy()
        return step

    return [("XLA", lambda: way(True, False)), ("no XLA", lambda: way(False, False)),
            ("XLA, unrolled", lambda: way(True, True)),
            ("no XLA, unrolled", lambda: way(False, True))]


def predict(o):
    """model.predict on the window at each step, which is slid on in numpy."""
    voices = o["voices"]
    net = keras.Sequential([original(o, False), layers.Activation("sigmoid")])
    x = numpy.random.rand(1, o["window"], o["inputs"]).astype("float32")

    def step():
        hits = net.predict(x, verbose=0)[0] >= .2
        x[0, :-1] = x[0, 1:].copy()
        x[0, -1, :voices] = hits
    return [("model.predict", lambda: step)]


def main():
    what, o = sys.argv[1], peer.options(sys.argv[2:])
    tf.config.threading.set_intra_op_parallelism_threads(o["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(o["threads"])
    keras.utils.set_random_seed(1)
    ways = {"train": train, "window": window, "predict": predict}[what](o)
    way, call = peer.fastest(ways, o["seconds"])
    seconds = o["seconds"]
    measure = (lambda: peer.rate(call, seconds)) if what == "train" else (
        lambda: 1e6 / peer.rate(call, seconds))
    peer.serve("Keras %s (%s)" % (keras.__version__, way), measure)


main()
