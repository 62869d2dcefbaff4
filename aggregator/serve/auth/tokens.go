package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/config"
)

const (
	// minTokenLength keeps guessing hopeless: 16 characters, as of `openssl rand -hex 16` and
	// longer.
	minTokenLength = 16
	// lookAgain is how long a file of tokens is believed before it is looked at again.
	lookAgain = 5 * time.Second
)

// TokensFile is the content of a file of tokens (YAML).
type TokensFile struct {
	// Tokens are the tokens that are accepted, one per caller.
	Tokens []TokenEntry `yaml:"tokens"`
}

// Role is a named set of verbs.
type Role string

// The roles of a file of tokens.
const (
	RoleViewer   Role = "viewer"
	RoleProfiler Role = "profiler"
	RoleAdmin    Role = "admin"
)

// verbs returns what a role allows; nil is no role.
func (r Role) verbs() []Verb {
	switch r {
	case RoleViewer:
		return []Verb{View}
	case RoleProfiler, "":
		return []Verb{View, Profile}
	case RoleAdmin:
		return []Verb{View, Profile, Control}
	}
	return nil
}

// TokenEntry is one token.
type TokenEntry struct {
	// Token is the secret: at least 16 characters, best random (openssl rand -hex 24).
	Token string `yaml:"token"`
	// Name is who it belongs to; it stands in logs and in the operations they start.
	Name string `yaml:"name"`
	// Namespaces are what the caller sees and may profile; "*" is all.
	Namespaces []string `yaml:"namespaces"`
	// Role is what the caller may do there: viewer (see), profiler (see and profile; the
	// default) or admin (pause all profiling as well; of all namespaces only).
	Role Role `yaml:"role"`
}

var (
	tokenChars = regexp.MustCompile(`^[!-~]+$`) // what can stand in a header and a password
	callerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$`)
)

// Check reports every entry that makes no sense, without repeating a token.
func (f TokensFile) Check(report func(key, problem string)) {
	seen := map[string]bool{}
	for i, e := range f.Tokens {
		key := fmt.Sprintf("tokens[%d]", i)
		if len(e.Token) < minTokenLength || !tokenChars.MatchString(e.Token) {
			report(key+".token", fmt.Sprintf("must be %d or more printable ASCII characters without spaces", minTokenLength))
		} else if seen[e.Token] {
			report(key+".token", "is the token of another entry already")
		}
		seen[e.Token] = true
		if !callerName.MatchString(e.Name) {
			report(key+".name", "must be letters, digits, dots, dashes, underscores or @, 63 at most")
		}
		if len(e.Namespaces) == 0 || slices.Contains(e.Namespaces, "") {
			report(key+".namespaces", `must name namespaces, or "*" for all`)
		}
		if e.Role.verbs() == nil {
			report(key+".role", "must be viewer, profiler or admin")
		}
		if e.Role == RoleAdmin && !slices.Contains(e.Namespaces, "*") {
			report(key+".role", `admin is of all namespaces: namespaces must be ["*"]`)
		}
	}
}

// Tokens is a file of tokens, read again when it changes.
type Tokens struct {
	path string
	now  func() time.Time
	log  *zap.Logger

	mu      sync.Mutex // guards what follows
	looked  time.Time
	seen    os.FileInfo
	broken  bool
	entries []entry
}

type entry struct {
	sum    [sha256.Size]byte // of the token: comparing it takes the same time for every token
	caller Caller
}

// OpenTokens reads a file of tokens.
func OpenTokens(path string, now func() time.Time, log *zap.Logger) (*Tokens, error) {
	t := &Tokens{path: path, now: now, log: log}
	info, entries, err := readTokens(path)
	if err != nil {
		return nil, err
	}
	t.looked, t.seen, t.entries = now(), info, entries
	return t, nil
}

func readTokens(path string) (os.FileInfo, []entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading tokens: %w", err)
	}
	f, err := loadTokens(path)
	if err != nil {
		return info, nil, err
	}
	entries := make([]entry, len(f.Tokens))
	for i, e := range f.Tokens {
		entries[i] = entry{sha256.Sum256([]byte(e.Token)), Caller{Name: e.Name, Rights: Fixed{
			Everywhere: slices.Contains(e.Namespaces, "*"), Namespaces: e.Namespaces, Verbs: e.Role.verbs(),
		}}}
	}
	return info, entries, nil
}

// loadTokens reads and checks a file of tokens. What config says of a mistake may repeat
// what stands there, such as a token in the place of a key: only the lines are passed on.
func loadTokens(path string) (TokensFile, error) {
	type unchecked TokensFile
	var f unchecked
	var mistakes []error
	err := config.Load(path, &f)
	lines, ok := errors.AsType[config.Errors](err)
	if err != nil && !ok {
		return TokensFile{}, fmt.Errorf("reading tokens: %w", err)
	}
	for _, m := range lines {
		mistakes = append(mistakes, fmt.Errorf("reading tokens: %s:%d: not what a file of tokens holds", path, m.Line))
	}
	if err == nil {
		TokensFile(f).Check(func(key, problem string) {
			mistakes = append(mistakes, fmt.Errorf("reading tokens: %s: %s: %s", path, key, problem))
		})
	}
	return TokensFile(f), errors.Join(mistakes...)
}

// Find returns whose token it is. Every entry is compared, whatever was found before.
func (t *Tokens) Find(token string) (Caller, bool) {
	sum := sha256.Sum256([]byte(token))
	found, caller := 0, Caller{}
	for _, e := range t.current() {
		if subtle.ConstantTimeCompare(sum[:], e.sum[:]) == 1 {
			found, caller = 1, e.caller
		}
	}
	return caller, found == 1
}

// current returns the entries, read again if the file changed. A file that cannot be read
// or makes no sense changes nothing: callers keep what they had.
func (t *Tokens) current() []entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Sub(t.looked) < lookAgain {
		return t.entries
	}
	t.looked = now
	if info, err := os.Stat(t.path); err == nil && t.seen != nil && same(info, t.seen) {
		return t.entries
	}
	info, entries, err := readTokens(t.path)
	if t.seen = info; err != nil {
		if !t.broken {
			t.log.Error("tokens could not be read again, the old ones stay", zap.Error(err))
		}
		t.broken = true
		return t.entries
	}
	t.log.Info("tokens were read again", zap.Int("tokens", len(entries)))
	t.broken, t.entries = false, entries
	return t.entries
}

// same tells whether a file is what it was. Its size and the time that it bears do not: tokens
// may be of one length, and times are copied with files. That of its last change, which a change
// of who may read it is as well, nobody sets; but before Linux 6.13 it passes in steps of
// milliseconds, and what was looked at while it was written may bear the same when it is whole.
func same(a, b os.FileInfo) bool {
	now, ok := a.Sys().(*syscall.Stat_t)
	was, known := b.Sys().(*syscall.Stat_t)
	return ok && known && now.Dev == was.Dev && now.Ino == was.Ino && now.Size == was.Size && now.Ctim == was.Ctim
}
