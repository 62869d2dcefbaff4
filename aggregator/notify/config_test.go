package notify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func good() Config {
	c := DefaultConfig()
	c.Receivers = []Receiver{{Name: "ops", Channel: ChannelSlack, URLFile: "/secrets/ops"}, {Name: "shop", Channel: ChannelWebhook, URL: "http://hook.shop:8080/in"}}
	c.Routes = []Route{{Owner: "team-shop", Telling: Telling{Receivers: []string{"shop", "ops"}}}}
	c.Default.Receivers = []string{"ops"}
	return c
}

func TestConfigMistakes(t *testing.T) {
	for key, mistake := range map[string]func(*Config){
		"timeout":                func(c *Config) { c.Timeout = 0 },
		"at_once":                func(c *Config) { c.AtOnce = 0 },
		"retry_first":            func(c *Config) { c.RetryFirst = 0 },
		"retry_most":             func(c *Config) { c.RetryMost = time.Second },
		"give_up_after":          func(c *Config) { c.GiveUpAfter = 14 * 24 * time.Hour },
		"receivers[1].name":      func(c *Config) { c.Receivers[1].Name = "ops"; c.Routes[0].Receivers = []string{"ops"} },
		"routes[0].receivers[1]": func(c *Config) { c.Routes[0].Receivers[1] = "opps" },
		"routes[0].owner":        func(c *Config) { c.Routes[0].Owner = "" },
		"routes[1].owner":        func(c *Config) { c.Routes = append(c.Routes, c.Routes[0]) },
		"default.receivers[0]":   func(c *Config) { c.Default.Receivers = []string{""} },
	} {
		c := good()
		mistake(&c)
		if got := mistakes(c.Check); len(got) != 1 || got[0] != key {
			t.Errorf("%s: reported %v", key, got)
		}
	}
	if got := mistakes(good().Check); got != nil {
		t.Errorf("nothing is mistaken: %v", got)
	}
	if got := mistakes(DefaultConfig().Check); got != nil {
		t.Errorf("the defaults are mistaken: %v", got)
	}
}

func TestReceiverMistakes(t *testing.T) {
	for _, x := range []struct {
		key   string
		check func(report func(key, problem string))
	}{
		{"name", Receiver{Name: "Ops.1", Channel: ChannelSlack, URL: "https://x"}.Check},
		{"channel", Receiver{Name: "ops", Channel: "smtp", URL: "https://x"}.Check},
		{"url", Receiver{Name: "ops", Channel: ChannelSlack, URL: "x/y"}.Check},
		{"url_file", Receiver{Name: "ops", Channel: ChannelSlack}.Check},
		{"url_file", Receiver{Name: "ops", Channel: ChannelSlack, URL: "https://x", URLFile: "/f"}.Check},
		{"triggers[1]", Telling{Triggers: []gopprof.TriggerKind{"rule", "whim"}}.Check},
	} {
		if got := mistakes(x.check); len(got) != 1 || got[0] != x.key {
			t.Errorf("%s: reported %v", x.key, got)
		}
	}
}

func mistakes(check func(report func(key, problem string))) (keys []string) {
	check(func(key, _ string) { keys = append(keys, key) })
	return keys
}

// The configuration as it stands in a file.
func TestConfigFile(t *testing.T) {
	c := DefaultConfig()
	err := config.Parse("a.yaml", []byte(`
receivers:
- {name: ops, channel: slack, url_file: /secrets/ops}
- {name: shop, channel: webhook, url: "http://hook.shop:8080/in", bearer_file: /secrets/shop}
routes:
- {owner: team-shop, receivers: [shop], contradicted: true, triggers: [rule, manual]}
default: {receivers: [ops]}
timeout: 5s
`), &c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Receivers[1].BearerFile != "/secrets/shop" || !c.Routes[0].Contradicted || c.Timeout != 5*time.Second || c.AtOnce != 4 {
		t.Errorf("%+v", c)
	}
}

func TestRoute(t *testing.T) {
	c := good()
	c.Routes = append(c.Routes,
		Route{Owner: "curious", Telling: Telling{Receivers: []string{"shop"}, Contradicted: true, Triggers: []gopprof.TriggerKind{gopprof.TriggerRule, gopprof.TriggerManual}}},
		Route{Owner: "nobody"})
	for _, x := range []struct {
		owner     string
		trigger   gopprof.TriggerKind
		agreement gopprof.AgreementResult
		receivers []string
		silence   string
	}{
		{"team-shop", gopprof.TriggerRule, gopprof.AgreementConfirmed, []string{"shop", "ops"}, ""},
		{"team-shop", gopprof.TriggerRule, gopprof.AgreementUnavailable, []string{"shop", "ops"}, ""},
		{"team-shop", gopprof.TriggerRule, gopprof.AgreementSingle, []string{"shop", "ops"}, ""},
		{"team-shop", gopprof.TriggerAlert, "", []string{"shop", "ops"}, ""},
		{"team-shop", gopprof.TriggerRule, gopprof.AgreementContradicted, nil, silentContradicted},
		{"team-shop", gopprof.TriggerManual, "", nil, silentTrigger},
		{"team-shop", gopprof.TriggerSibling, "", nil, silentTrigger},
		{"curious", gopprof.TriggerRule, gopprof.AgreementContradicted, []string{"shop"}, ""},
		{"curious", gopprof.TriggerManual, "", []string{"shop"}, ""},
		{"curious", gopprof.TriggerAlert, "", nil, silentTrigger},
		{"nobody", gopprof.TriggerRule, gopprof.AgreementConfirmed, nil, silentNoReceiver},
		{"somebody", gopprof.TriggerRule, gopprof.AgreementConfirmed, []string{"ops"}, ""},
		{"", gopprof.TriggerRule, gopprof.AgreementConfirmed, []string{"ops"}, ""},
		{"", gopprof.TriggerRule, gopprof.AgreementContradicted, nil, silentContradicted},
	} {
		r := gopprof.Report{}
		r.Capture.Target.Owner, r.Capture.Trigger.Kind, r.Capture.Agreement.Result = x.owner, x.trigger, x.agreement
		ways, silence := newTree(c).route(r)
		var receivers []string
		for _, w := range ways {
			receivers = append(receivers, w.receiver)
		}
		if !slices.Equal(receivers, x.receivers) || silence != x.silence {
			t.Errorf("%q %s %s: %v %q", x.owner, x.trigger, x.agreement, receivers, silence)
		}
	}
}

// What no default route can have is refused by its name.
func TestDefaultIsNoRoute(t *testing.T) {
	for _, key := range []string{"owner: x", "matchers: [pod=x]", "continue: true", "routes: []"} {
		c := DefaultConfig()
		if err := config.Parse("a.yaml", []byte("default: {"+key+"}\n"), &c); err == nil || !strings.Contains(err.Error(), "unknown key") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
