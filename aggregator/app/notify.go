package app

import (
	"context"

	"github.com/google/uuid"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/aggregator/notify/alertmanager"
	"github.com/gopprof/gopprof/aggregator/notify/dingtalk"
	"github.com/gopprof/gopprof/aggregator/notify/email"
	"github.com/gopprof/gopprof/aggregator/notify/feishu"
	"github.com/gopprof/gopprof/aggregator/notify/slack"
	"github.com/gopprof/gopprof/aggregator/notify/teams"
	"github.com/gopprof/gopprof/aggregator/notify/webhook"
	"github.com/gopprof/gopprof/aggregator/notify/wecom"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
)

// channels are all ways in which people and programs are told.
func channels(files email.Files) notify.Channels {
	return notify.Channels{
		Posters: map[string]notify.Poster{
			notify.ChannelWebhook: webhook.Channel{}, notify.ChannelSlack: slack.Channel{}, notify.ChannelDingTalk: dingtalk.Channel{},
			notify.ChannelFeishu: feishu.Channel{}, notify.ChannelWeCom: wecom.Channel{}, notify.ChannelTeams: teams.Channel{},
			notify.ChannelAlertmanager: alertmanager.Channel{},
		},
		Senders: map[string]notify.Sender{notify.ChannelEmail: email.Channel{Files: files}},
	}
}

func (a *App) makeNotify(ctx context.Context) error {
	told, err := a.bus.Bucket(ctx, bus.BucketTold)
	if err != nil {
		return err
	}
	silences, err := a.bus.Bucket(ctx, bus.BucketSilences)
	if err != nil {
		return err
	}
	a.notify = notify.New(a.config.Notify, notify.Deps{Told: told, Silences: silences, Channels: channels(a.store.Read)}, a.log, a.reg)
	return a.notify.Load(ctx)
}

// telling is what serve knows of who is told.
type telling struct{ *notify.Notifier }

// TestReceiver implements serve.Telling.
func (t telling) TestReceiver(ctx context.Context, name, who string) (api.ReceiverTest, error) {
	out, err := t.Test(ctx, name, uuid.Must(uuid.NewV7()).String(), who)
	if err != nil {
		return api.ReceiverTest{}, err
	}
	return api.ReceiverTest{Receiver: name, Told: out.Reason == "", Reason: out.Reason, Detail: out.Detail, Retry: out.Retry}, nil
}
