// Package bus is gopprof's protocol over NATS, in verbs: an agent publishes captures and
// state, asks before it acts and serves requests; the aggregator takes captures, answers,
// publishes and consumes reports and keeps small records. It is the only importer of
// nats.go: outside of it nobody knows subjects, streams or consumers.
//
// Nouns enter and leave. What an agent publishes has left it only when JetStream has
// acknowledged it; what the aggregator takes it acknowledges last. A message's body is
// believed only where it agrees with the subject, because the subject is what the server
// checked against the sender's permissions. Nothing here retries on its own account but
// the connection, which comes back for ever: whoever publishes decides what to do with
// one of the errors below.
package bus

import "errors"

// What may go wrong between a caller and JetStream. Every error of publishing is one of
// the first five.
var (
	// ErrAway: NATS or the stream cannot be reached now. Try again later.
	ErrAway = errors.New("nats is away")
	// ErrFull: the stream is at its limit and takes nothing new. Try again later.
	ErrFull = errors.New("stream is full")
	// ErrRefused: the server does not know this user, or does not allow it this subject.
	// Somebody must change the configuration first; trying again slowly is harmless.
	ErrRefused = errors.New("refused by nats")
	// ErrTooLarge: more bytes than the protocol carries. Trying again never helps.
	ErrTooLarge = errors.New("too large for nats")
	// ErrInvalid: the noun cannot be sent: it is another node's, or makes no sense.
	// Trying again never helps.
	ErrInvalid = errors.New("cannot be sent")

	// ErrPartly: a state was told without those of its targets that cannot be sent.
	ErrPartly = errors.New("told in part only")

	// ErrDifferent: something else was published under this ID before.
	ErrDifferent = errors.New("different content under the same id")
	// ErrNoAgent: no agent of that node listens.
	ErrNoAgent = errors.New("no agent listens on that node")

	// ErrUndecodable and ErrImposter are what a Delivery's Err may be.
	ErrUndecodable = errors.New("message is not what its subject says")
	ErrImposter    = errors.New("body and subject name different nodes")

	// ErrBytesLost: chunks of the capture are not in NATS (any more).
	ErrBytesLost = errors.New("bytes are not in nats")
	// ErrBytesWrong: size or sha256 differ from what the capture names.
	ErrBytesWrong = errors.New("bytes are not those that the capture names")

	// ErrWaiting: the capture waits in the queue already.
	ErrWaiting = errors.New("it waits in the queue already")

	// ErrLost: NATS has not what was made there any more.
	ErrLost = errors.New("nats has lost its streams")

	// ErrNoKey: the bucket has no such key.
	ErrNoKey = errors.New("no such key")
	// ErrConflict: the key exists, or has changed since the revision that was read.
	ErrConflict = errors.New("key was changed meanwhile")
)
