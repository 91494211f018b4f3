"""A Flask page with a template, as small sites have them: compiled once, as files are."""

from flask import Flask, render_template
from jinja2 import DictLoader

PAGE = """<!doctype html><title>{{ title }}</title>
<ul>{% for name in names %}<li>{{ name }}</li>{% endfor %}</ul>"""

application = Flask(__name__)
application.jinja_loader = DictLoader({"page.html": PAGE})


@application.route("/")
def page():
    return render_template(
        "page.html", title="Members", names=["Ada", "Brian", "Grace"]
    )
