from standardwebhooks import Webhook, WebhookVerificationError  # pip install standardwebhooks

SEEN = set()  # in your database, for as long as an event may be told again: a week


def receive(secret, headers, body):
    """The event of a request, None for one that came before; answer 204. An exception: answer 400.

    `body` is the body as it came, in bytes. `headers` is a mapping with names in small letters.
    """
    event = Webhook(secret).verify(body, headers)
    if headers["webhook-id"] in SEEN:
        return None
    SEEN.add(headers["webhook-id"])
    return event


__all__ = ["WebhookVerificationError", "receive"]
