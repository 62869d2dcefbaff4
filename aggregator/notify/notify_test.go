package notify_test

import (
	"testing"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/notifytest"
)

func TestWebhook(t *testing.T) { notifytest.Run(t, notify.ChannelWebhook) }

func TestSlack(t *testing.T) { notifytest.Run(t, notify.ChannelSlack) }
