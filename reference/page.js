"use strict";

const login = document.getElementById("login");
const byToken = document.getElementById("by-token");
const tokenForm = document.getElementById("token");
const logout = document.getElementById("logout");
const session = document.getElementById("session");
const viewer = document.getElementById("viewer");

const WHO = "iredldap.address";
const NOBODY = "Log in as an admin to try calls.";
const MEANINGS = {
  INVALID_CREDENTIALS: "Wrong address or password, or no admin.",
  TOO_MANY_REQUESTS: "Too many logins failed; try again later.",
  API_DISABLED: "The API is switched off.",
  LOGIN_REQUIRED: "No such token.",
};

/* A token stays in this tab, and is stored nowhere: a page that is loaded again has forgotten it. */
let token = null;
let owner = null;

/* No script can read the cookie, so the tabs remember whose it is until an answer says otherwise. */
function show(message) {
  const address = localStorage.getItem(WHO);
  const somebody = token === null ? address : `${owner}, with a token`;
  login.hidden = byToken.hidden = somebody !== null;
  logout.hidden = somebody === null;
  session.textContent = message || (somebody === null ? NOBODY : `Logged in as ${somebody}.`);
}

function remember(address) {
  localStorage.setItem(WHO, address);
  show();
}

function forget(message) {
  if (token === null) localStorage.removeItem(WHO);
  token = null;
  show(message);
}

async function answerOf(url, options) {
  try {
    return await (await fetch(url, options)).json();
  } catch (error) {
    return { _success: false, _msg: `No answer: ${error.message}` };
  }
}

const bearer = (word) => (word === null ? {} : { Authorization: `Bearer ${word}` });
const whoami = (word) => answerOf(tokenForm.action, { headers: bearer(word) });

async function send(form) {
  return answerOf(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
}

login.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { _success: done, _msg: code } = await send(login);
  if (!done) {
    show(MEANINGS[code] || code);
    return;
  }
  remember(login.elements.username.value.trim());
  login.reset();
  logout.querySelector("button").focus();
});

tokenForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const word = tokenForm.elements.token.value.trim();
  const { _success: done, _msg: code, _data: caller } = await whoami(word);
  if (!done) {
    show(MEANINGS[code] || code);
    return;
  }
  token = word;
  owner = caller.admin;
  show();
  tokenForm.reset();
  logout.querySelector("button").focus();
});

logout.addEventListener("submit", async (event) => {
  event.preventDefault();
  /* A token goes on being good for the programs that have it. */
  const ends = token === null;
  const { _success: done, _msg: code } = ends ? await send(logout) : { _success: true };
  if (done || code === "LOGIN_REQUIRED" || code === "SESSION_EXPIRED") {
    forget();
    (login.hidden ? logout.querySelector("button") : login.elements.username).focus();
  } else {
    show(code);
  }
});

/* Another tab has begun or ended the session. */
window.addEventListener("storage", () => show());

/* It may have ended while no page was open. */
async function lookAgain() {
  const { _success: done, _msg: code, _data: caller } = await whoami(null);
  if (done) remember(caller.admin);
  else if (code === "LOGIN_REQUIRED" || code === "SESSION_EXPIRED") forget();
}

/* Calls that are tried below may begin or end the session, or find that it has ended. */
function watch(answer) {
  const { pathname } = new URL(answer.url);
  if (pathname.endsWith("/api/login")) {
    if (answer.ok) lookAgain();
  } else if (answer.status === 401) {
    forget(token === null ? "The session is over; log in again." : "The token is over.");
  } else if (answer.ok && pathname.endsWith("/api/logout") && token === null) {
    forget();
  }
  return answer;
}

function identify(request) {
  if (token !== null && new URL(request.url, location).origin === location.origin) {
    Object.assign(request.headers, bearer(token));
  }
  return request;
}

/* The document has JSON alone; here each parameter gets a field of its own, which a form has. */
const FORM = "application/x-www-form-urlencoded";

function offerForms(openapi) {
  for (const path of Object.values(openapi.paths || {})) {
    for (const { requestBody } of Object.values(path)) {
      const media = requestBody?.content["application/json"];
      if (!media) continue;
      const { properties, ...schema } = openapi.components.schemas[nameOf(media.schema)];
      const fields = Object.entries(properties).filter(([, field]) => !field.deprecated);
      schema.properties = Object.fromEntries(fields.map(([name, field]) => [name, inForm(field)]));
      requestBody.content = { [FORM]: { schema }, ...requestBody.content };
    }
  }
  return openapi;
}

const nameOf = ({ $ref }) => $ref.split("/").pop();

/* Without null, which a form cannot say: an empty field is left out, or cleared. */
function inForm({ anyOf, examples, ...field }) {
  if (anyOf) return { ...field, ...anyOf[0] };
  return Array.isArray(field.type) ? { ...field, type: field.type[0] } : field;
}

/* What a search looks through: path, words, and the parameters with their meanings. */
const searched = new WeakMap();

function textOf(found) {
  const operation = found.get("operation");
  if (!searched.has(operation)) {
    const { summary, operationId, parameters = [], requestBody } = operation.toJS();
    const form = requestBody?.content[FORM]?.schema.properties || {};
    const fields = [
      ...parameters.filter(({ in: place }) => place !== "header"),
      ...Object.entries(form).map(([name, { description }]) => ({ name, description })),
    ];
    const words = fields.flatMap(({ name, description }) => [name, description]);
    const all = [found.get("method"), found.get("path"), summary, operationId, ...words];
    searched.set(operation, all.join("\n").toLowerCase());
  }
  return searched.get(operation);
}

function matching(tags, phrase) {
  const words = phrase.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (found) => words.every((word) => textOf(found).includes(word));
  return tags
    .map((tag) => tag.update("operations", (operations) => operations.filter(fits)))
    .filter((tag) => tag.get("operations").size);
}

const isSearch = (phrase) => typeof phrase === "string" && phrase.trim() !== "";

const search = () => ({
  fn: { opsFilter: matching },
  wrapComponents: {
    FilterContainer: (Original, { React }) => ({ layoutSelectors, layoutActions, specSelectors }) => {
      const phrase = layoutSelectors.currentFilter();
      const look = ({ target }) => {
        /* What was found is unfolded; a search that has ended leaves all folded again. */
        if (isSearch(target.value) !== isSearch(phrase)) {
          for (const tag of specSelectors.taggedOperations().keys()) {
            layoutActions.show(["operations-tag", tag], isSearch(target.value));
          }
        }
        layoutActions.updateFilter(target.value);
      };
      const value = isSearch(phrase) ? phrase : "";
      const field = React.createElement("input", { type: "search", value, onChange: look });
      return React.createElement("label", { id: "search" }, "Search calls and parameters", field);
    },
  },
});

const at = (openapi, keys) => keys.reduce((value, key) => value?.[key], openapi);
const keysOf = ($ref) =>
  $ref
    .slice("#/".length)
    .split("/")
    .map((key) => decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~"));

/* What refers to a schema that it is part of keeps the reference. */
function inlined(value, openapi, within = []) {
  if (Array.isArray(value)) return value.map((one) => inlined(one, openapi, within));
  if (value === null || typeof value !== "object") return value;
  const { $ref } = value;
  if (within.includes($ref)) return value;
  const own = Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, inlined(one, openapi, within)]),
  );
  if (typeof $ref !== "string") return own;
  const target = inlined(at(openapi, keysOf($ref)), openapi, [...within, $ref]);
  delete own.$ref;
  return { ...target, ...own, $$ref: $ref };
}

/* The viewer reads the whole document anew for each call that is unfolded, and at the beginning:
   three seconds of a processor each. It refers to nothing but its own components. */
const resolvesQuickly = () => ({
  fn: {
    resolveSubtree: async (openapi, keys) => ({
      spec: inlined(at(openapi, keys), openapi),
      errors: [],
    }),
  },
});

/* Refusals are folded: each call has a dozen. */
const foldedRefusals = () => ({
  wrapComponents: {
    responses: (Original, { React }) => (props) => {
      const [open, setOpen] = React.useState(false);
      const refusals = props.responses.keySeq().count((code) => code >= "400");
      const button = React.createElement(
        "button",
        { type: "button", className: "refusals", "aria-expanded": open, onClick: () => setOpen(!open) },
        `${open ? "Hide" : "Show"} ${refusals} refusals`,
      );
      return React.createElement(
        "div",
        { className: open ? "" : "folded" },
        React.createElement(Original, props),
        refusals > 0 && button,
      );
    },
  },
});

/* The viewer would fill in every field of a form, and send those it left empty. */
const sendsWhatWasTyped = () => ({
  afterLoad() {
    const sample = this.fn.getSampleSchema;
    this.fn.getSampleSchema = (schema, media, ...rest) =>
      media === false ? String(schema.get("default", "")) : sample(schema, media, ...rest);
  },
  statePlugins: {
    spec: {
      wrapActions: { updateJsonSpec: (original) => (openapi) => original(offerForms(openapi)) },
    },
  },
  wrapComponents: {
    ParameterIncludeEmpty: (Original, { React }) => (props) =>
      React.createElement(Original, { ...props, isIncludedOptions: {} }),
    /* Choices of which one is required would show the first, and not send it. */
    JsonSchemaForm: (Original, { React }) => (props) =>
      React.createElement(Original, {
        ...props,
        required: props.required && !props.schema.has("enum"),
      }),
  },
});

/* The viewer names its fields by what stands beside them, which a screen reader does not know. */
const readable = () => ({
  wrapComponents: {
    /* A link in the button that unfolds a call. */
    DeepLink: (Original, { React }) => ({ text }) => React.createElement("span", null, text),
  },
});

const ROW = "tr:is([data-param-name], [data-property-name])";

function nameFields() {
  for (const field of viewer.querySelectorAll(
    `${ROW} :is(input, select, textarea):not([aria-label])`,
  )) {
    const { paramName, propertyName } = field.closest(ROW).dataset;
    field.setAttribute("aria-label", paramName || propertyName);
  }
  for (const select of viewer.querySelectorAll("select:not([aria-label])")) {
    select.setAttribute("aria-label", select.id === "servers" ? "Server" : "Media type");
  }
  for (const scrolls of viewer.querySelectorAll("pre:not([tabindex])")) scrolls.tabIndex = 0;
}

new MutationObserver(nameFields).observe(viewer, { childList: true, subtree: true });
show();
if (localStorage.getItem(WHO) !== null) lookAgain();
SwaggerUIBundle({
  url: viewer.dataset.document,
  domNode: viewer,
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  docExpansion: "none",
  filter: true,
  plugins: [sendsWhatWasTyped, resolvesQuickly, search, foldedRefusals, readable],
  requestInterceptor: identify,
  responseInterceptor: watch,
  validatorUrl: null,
});
