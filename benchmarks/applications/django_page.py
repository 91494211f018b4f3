"""A Django page with a template and the usual middleware, in one file."""

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.template import Context, Engine
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for measuring",
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
)
django.setup()

PAGE = Engine().from_string(
    "<!doctype html><title>{{ title }}</title>"
    "<ul>{% for name in names %}<li>{{ name }}</li>{% endfor %}</ul>"
)


def page(request):
    return HttpResponse(
        PAGE.render(Context({"title": "Members", "names": ["Ada", "Brian", "Grace"]}))
    )


urlpatterns = [path("", page)]
application = get_wsgi_application()
